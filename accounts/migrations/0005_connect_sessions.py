import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_audit_entries"),
    ]

    operations = [
        migrations.AddField(
            model_name="socialaccount",
            name="app_password",
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.CreateModel(
            name="ConnectSession",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("mode", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                ("tenant_id", models.CharField(blank=True, max_length=255)),
                ("redirect_url", models.CharField(blank=True, max_length=2000)),
                (
                    "redirect_uri",
                    models.CharField(help_text="Where the platform sent the person back to.", max_length=2000),
                ),
                ("scopes", models.JSONField(default=list, help_text="What was asked for.")),
                ("verifier", models.TextField(blank=True, editable=False)),
                ("payload", models.TextField(blank=True, editable=False)),
                ("token_hash", models.CharField(blank=True, editable=False, max_length=64)),
                (
                    "expires_at",
                    models.DateTimeField(db_index=True, help_text="The end of the state, then of the pending session."),
                ),
                ("answered_at", models.DateTimeField(help_text="When the platform sent the person back.", null=True)),
                ("finalized_at", models.DateTimeField(null=True)),
                ("failure", models.CharField(blank=True, help_text="Why nothing could be connected.", max_length=64)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "account",
                    models.ForeignKey(
                        help_text="The one to be connected again.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.socialaccount",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="connect_sessions",
                        to="accounts.organization",
                    ),
                ),
                (
                    "social_network",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="connect_sessions",
                        to="accounts.socialnetwork",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("token_hash", ""), _negated=True),
                        fields=("token_hash",),
                        name="one_session_per_token",
                    )
                ],
            },
        ),
    ]
