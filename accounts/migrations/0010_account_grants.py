from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_chosen_accounts"),
    ]

    operations = [
        migrations.AddField(
            model_name="socialaccount",
            name="grant",
            field=models.UUIDField(editable=False, null=True),
        ),
    ]
