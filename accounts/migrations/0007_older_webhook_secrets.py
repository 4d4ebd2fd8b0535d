from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_replaced_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhookendpoint",
            name="older_secrets",
            field=models.TextField(blank=True, editable=False),
        ),
    ]
