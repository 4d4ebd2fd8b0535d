from django.db import migrations

CHUNK = 2000
SHARED = ("x", "youtube", "reddit")


def shared(platform, account_id, mode, organization_id):
    return f"{platform}:{mode}:{organization_id}"


def single(platform, account_id, mode, organization_id):
    return f"{platform}:{account_id}"


def move(lane_of):
    """In steps along the primary key, each committed by itself: begun again, it finds the rest."""

    def forwards(apps, schema_editor):
        targets = apps.get_model("analytics", "Target").objects.using(schema_editor.connection.alias)
        columns = ("platform", "account_id", "account__mode", "account__organization_id")
        rows, last = targets.filter(platform__in=SHARED).order_by("pk"), None
        while chunk := list((rows if last is None else rows.filter(pk__gt=last)).only("lane")[:CHUNK]):
            last = chunk[-1].pk
            named = targets.filter(pk__in=[target.pk for target in chunk]).values_list("pk", *columns)
            lanes = {pk: lane_of(*row) for pk, *row in named}
            moved = [target for target in chunk if target.lane != lanes.get(target.pk, target.lane)]
            for target in moved:
                target.lane = lanes[target.pk]
            targets.bulk_update(moved, ["lane"], batch_size=400)

    return forwards


class Migration(migrations.Migration):
    """Accounts of an organization share the calls of these platforms from now on, and so a lane."""

    atomic = False

    dependencies = [
        ("analytics", "0002_one_index_for_targets_of_a_post"),
    ]

    operations = [
        migrations.RunPython(move(shared), move(single)),
    ]
