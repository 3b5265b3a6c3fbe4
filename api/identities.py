"""Names as operators spell them, told as the platform does: case rarely matters to people."""

from chargers.models import ChargePoint, IdTag
from chargers.models.idtag import tag_key


def station(identity: str) -> str:
    """Return the station's identity as it is stored; history may name one that is gone."""
    return ChargePoint.objects.by_identity(identity).values_list("pk", flat=True).first() or identity


def tag(id_token: str) -> str:
    """Return the id tag as it is stored; history may name one that is gone or was never known."""
    return IdTag.objects.filter(lookup_key=tag_key(id_token)).values_list("pk", flat=True).first() or id_token
