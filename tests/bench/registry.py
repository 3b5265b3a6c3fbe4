"""Register stations that prove themselves with a key: ``python -m tests.bench.registry``."""

import argparse
import os

import django


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--stations", type=int, required=True)
    parser.add_argument("--key", required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")
    django.setup()
    register([f"{options.prefix}{number:05d}" for number in range(options.stations)], options.key.encode())


def register(identities: list[str], key: bytes) -> None:
    # They need Django set up.
    from chargers.choices import SecurityProfile
    from chargers.models import ChargePoint
    from chargers.models.station import identity_key
    from chargers.services.stations import hash_key

    ChargePoint.objects.bulk_create(
        ChargePoint(
            chargepoint_id=identity,
            lookup_key=identity_key(identity),
            key_hash=hash_key(key),
            security_profile=SecurityProfile.BASIC,
        )
        for identity in identities
    )


if __name__ == "__main__":
    main()
