from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0006_import_failing_since"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="post",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)),
                fields=["external_ref"],
                name="post_deleted_by_reference",
            ),
        ),
        migrations.AddIndex(
            model_name="target",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)),
                fields=["platform_post_id"],
                name="target_deleted_by_platform_id",
            ),
        ),
    ]
