from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_older_webhook_secrets"),
    ]

    operations = [
        migrations.AddField(
            model_name="socialaccount",
            name="status_when_enabled",
            field=models.CharField(
                blank=True,
                choices=[
                    ("active", "Active"),
                    ("token_expired", "Token expired"),
                    ("revoked", "Revoked"),
                    ("disabled", "Disabled"),
                ],
                editable=False,
                help_text="What a disabled account was, and is again when it is enabled.",
                max_length=16,
            ),
        ),
    ]
