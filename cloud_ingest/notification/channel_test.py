"""Tests a channel: sends one test message and reports whether it was handed over."""

from dataclasses import dataclass
from typing import Any

from alert_rules.rule import Severity
from cloud_ingest.notification.channels import Channel
from cloud_ingest.notification.notifier import FailureReason, NotifierError

_MESSAGE = {
    "vi": ("Quantrac: tin thử", "Đây là tin thử. Kênh này nhận được cảnh báo của Quantrac."),
    "en": ("Quantrac: test message", "This is a test. This channel receives Quantrac's alerts."),
}
_ADVICE = {
    FailureReason.HOST_NOT_FOUND: {
        "vi": "Không tìm thấy máy chủ: kiểm tra tên máy chủ trong địa chỉ và kết nối mạng.",
        "en": "The server was not found: check its name in the address, and the network.",
    },
    FailureReason.CONNECTION_REFUSED: {
        "vi": "Không kết nối được tới máy chủ: kiểm tra địa chỉ, cổng và tường lửa.",
        "en": "The server does not take the connection: check address, port and firewall.",
    },
    FailureReason.TIMEOUT: {
        "vi": "Máy chủ không trả lời kịp: kiểm tra cổng và tường lửa, rồi thử lại.",
        "en": "The server did not answer in time: check port and firewall, then try again.",
    },
    FailureReason.TLS: {
        "vi": "Không thiết lập được kết nối bảo mật: kiểm tra cổng và chứng chỉ TLS.",
        "en": "No secure connection could be made: check the port and the TLS certificate.",
    },
    FailureReason.UNAUTHORIZED: {
        "vi": "Dịch vụ từ chối tài khoản: kiểm tra tên người dùng, mật khẩu hoặc mã khóa.",
        "en": "The service refuses the account: check user name, password or token.",
    },
    FailureReason.UNKNOWN_RECIPIENT: {
        "vi": "Dịch vụ không biết địa chỉ nhận này: kiểm tra đường dẫn hoặc người nhận.",
        "en": "The service does not know this recipient: check the path or the recipient.",
    },
    FailureReason.RATE_LIMITED: {
        "vi": "Dịch vụ báo đã nhận quá nhiều tin: chờ vài phút hoặc giảm per_minute.",
        "en": "The service says that it got too many messages: wait, or lower per_minute.",
    },
    FailureReason.SERVICE_ERROR: {
        "vi": "Dịch vụ nhận tin đang gặp sự cố: thử lại sau.",
        "en": "The receiving service has trouble of its own: try again later.",
    },
    FailureReason.REJECTED: {
        "vi": "Dịch vụ không nhận tin này: xem chi tiết và kiểm tra địa chỉ trong cloud.yaml.",
        "en": "The service did not take the message: see the detail, check cloud.yaml.",
    },
}


@dataclass(frozen=True, slots=True)
class ChannelTestResult:
    """The result of a test message. ``error`` says in both languages what to check."""

    channel: str
    ok: bool
    error: dict[str, str] | None = None
    detail: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"channel": self.channel, "ok": self.ok, "error": self.error, "detail": self.detail}


def try_channel(channel: Channel, language: str | None = None) -> ChannelTestResult:
    """Send a test message now, without the queue; ``language`` None: that of the channel."""
    title, body = _MESSAGE[language or channel.configuration.language]
    try:
        channel.notifier.send(title, body, Severity.INFO)
    except NotifierError as error:
        return ChannelTestResult(channel.name, False, _ADVICE[error.reason], str(error))
    return ChannelTestResult(channel.name, True)
