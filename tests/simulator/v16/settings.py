"""The configuration keys of a station: section 9 of OCPP 1.6 and section 7 of the security whitepaper."""

from dataclasses import dataclass

# Key: default value, read only.
DEFAULTS = {
    # Core (section 9.1)
    "AuthorizationCacheEnabled": ("true", False),
    "AuthorizeRemoteTxRequests": ("false", False),
    "ClockAlignedDataInterval": ("0", False),
    "ConnectionTimeOut": ("60", False),
    "ConnectorPhaseRotation": ("NotApplicable", False),
    "GetConfigurationMaxKeys": ("50", True),
    "HeartbeatInterval": ("300", False),
    "LocalAuthorizeOffline": ("true", False),
    "LocalPreAuthorize": ("false", False),
    "MeterValueSampleInterval": ("60", False),
    "MeterValuesAlignedData": ("Energy.Active.Import.Register", False),
    "MeterValuesSampledData": (
        "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,SoC,Power.Offered,Current.Offered",
        False,
    ),
    "NumberOfConnectors": ("1", True),
    "ResetRetries": ("1", False),
    "StopTransactionOnEVSideDisconnect": ("true", False),
    "StopTransactionOnInvalidId": ("true", False),
    "StopTxnAlignedData": ("", False),
    "StopTxnSampledData": ("", False),
    "SupportedFeatureProfiles": (
        "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger",
        True,
    ),
    "TransactionMessageAttempts": ("3", False),
    "TransactionMessageRetryInterval": ("60", False),
    "UnlockConnectorOnEVSideDisconnect": ("true", False),
    "WebSocketPingInterval": ("0", False),
    # Local authorization list (9.2)
    "LocalAuthListEnabled": ("true", False),
    "LocalAuthListMaxLength": ("100", True),
    "SendLocalListMaxLength": ("20", True),
    # Reservation (9.3)
    "ReserveConnectorZeroSupported": ("true", True),
    # Smart charging (9.4)
    "ChargeProfileMaxStackLevel": ("8", True),
    "ChargingScheduleAllowedChargingRateUnit": ("Current,Power", True),
    "ChargingScheduleMaxPeriods": ("24", True),
    "ConnectorSwitch3to1PhaseSupported": ("false", True),
    "MaxChargingProfilesInstalled": ("20", True),
    # Firmware management (errata 3.90)
    "SupportedFileTransferProtocols": ("FTP,FTPS,HTTP,HTTPS", True),
    # Security (whitepaper section 7); the AuthorizationKey is written only and stands elsewhere
    "AdditionalRootCertificateCheck": ("false", True),
    "CertificateSignedMaxChainSize": ("10000", True),
    "CertificateStoreMaxLength": ("10", True),
    "CpoName": ("", False),
    "SecurityProfile": ("0", False),
}
INTEGERS = {
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "HeartbeatInterval",
    "MeterValueSampleInterval",
    "ResetRetries",
    "SecurityProfile",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "WebSocketPingInterval",
}
MEASURANDS_OF = {"MeterValuesAlignedData", "MeterValuesSampledData", "StopTxnAlignedData", "StopTxnSampledData"}
MEASURANDS = {
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Power.Offered",
    "SoC",
    "Voltage",
}


@dataclass
class Setting:
    value: str
    readonly: bool = False


def default_settings(connectors: int) -> dict[str, Setting]:
    settings = {key: Setting(value, readonly) for key, (value, readonly) in DEFAULTS.items()}
    settings["NumberOfConnectors"].value = str(connectors)
    return settings


def fits(key: str, value: str, default: str) -> bool:
    """Say whether a value has the form that its key wants."""
    if key in INTEGERS:
        return value.isdecimal()
    if key in MEASURANDS_OF:
        return {item.strip() for item in value.split(",") if item.strip()} <= MEASURANDS
    return default not in ("true", "false") or value in ("true", "false")
