"""Vendors' own data, in every version of OCPP: nobody here understands any (1.6 section 4.3, 2.0.1 P02)."""

from collections.abc import Mapping

from csms.versions.base import Context, Handler, Payload


def data_transfer(payload: Payload, context: Context) -> None:
    return None


def unknown_vendor(result: None, context: Context) -> Payload:
    return {"status": "UnknownVendorId"}


HANDLERS: Mapping[str, Handler] = {
    "DataTransfer": Handler(data_transfer, None, unknown_vendor, optional=("vendorId",)),
}
