from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_account_grants"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhookdelivery",
            name="url",
            field=models.CharField(blank=True, help_text="Where it was sent last.", max_length=2000),
        ),
    ]
