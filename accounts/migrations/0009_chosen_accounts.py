from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_status_when_enabled"),
    ]

    operations = [
        migrations.AddField(
            model_name="connectsession",
            name="chosen",
            field=models.JSONField(default=list, help_text="The platform's ids of what was connected."),
        ),
    ]
