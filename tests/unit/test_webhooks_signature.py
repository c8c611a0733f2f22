"""Signatures and bodies: the vectors of the specification, and what its own library says of ours."""

import base64
import json
import re
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from fakes.trap_text import TRAP_TEXT
from fakes.webhook_home import completed, failed
from puna.domain.finetune_events import FinetuneFailed
from puna.redaction import redact
from puna.webhooks.message import to_message
from puna.webhooks.payload import to_body
from puna.webhooks.ports import Parcel
from puna.webhooks.records import NewWebhook, WebhookStatus
from puna.webhooks.records import Webhook as Record
from puna.webhooks.signature import make_message_id, make_secret, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DOCUMENTED_BODY = (
    b'{"type":"finetune.completed","timestamp":"2026-01-02T03:04:05.678901Z","data":'
    b'{"status":"success","model_id":"ft_model_12345","training_time":180.5}}'
)


def parcel(secret: str, body: bytes = DOCUMENTED_BODY) -> Parcel:
    return Parcel(url="http://127.0.0.1:9/hook", secret=secret, message_id=make_message_id(), body=body)


def test_the_signature_is_that_of_the_reference_library() -> None:
    assert (
        sign(
            SECRET,
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp=1614265330,
            body=b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_the_documented_request_has_the_documented_signature() -> None:
    signature = sign(
        SECRET, message_id="msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", timestamp=1767323045, body=DOCUMENTED_BODY
    )
    assert signature == "v1,T4KxNdREUw8oLhZFmlG9lgMqsQeARW8B8FNnXXEvWOw="


def test_a_completed_fine_tune_reads_as_documented() -> None:
    assert to_body(completed("org_1", at_s=1767323045.678901)) == DOCUMENTED_BODY


def test_a_whole_second_has_its_microseconds_too() -> None:
    assert (
        json.loads(to_body(completed("org_1", at_s=1767323045)))["timestamp"] == "2026-01-02T03:04:05.000000Z"
    )


def test_a_failed_fine_tune_says_why() -> None:
    assert json.loads(to_body(failed("org_1"))) == {
        "type": "finetune.failed",
        "timestamp": "2026-01-02T03:04:05.000000Z",
        "data": {"status": "failed", "model_id": "ft_model_12345", "error": "The disk is full."},
    }


def test_any_text_travels_as_ascii() -> None:
    event = FinetuneFailed(
        job_id="j", organisation_id="o", model_id="ft_model_é", error=TRAP_TEXT, ended_at=0
    )
    body = to_body(event)
    assert body.isascii()
    assert json.loads(body)["data"] == {"status": "failed", "model_id": "ft_model_é", "error": TRAP_TEXT}


def test_a_secret_is_32_random_bytes_in_base64() -> None:
    secret = make_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert make_secret() != secret


def test_a_message_id_has_no_dot() -> None:
    assert re.fullmatch(r"msg_[A-Za-z0-9]{27}", make_message_id())


def test_the_library_believes_a_message_and_no_changed_one() -> None:
    secret, sent_at = make_secret(), int(time.time())
    message = to_message(parcel(secret), now_s=sent_at, version="1.2.3")
    assert Webhook(secret).verify(message.body, message.headers) == json.loads(DOCUMENTED_BODY)
    for changed in (
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": str(sent_at - 1)},
        {"webhook-signature": "v1,AAAA"},
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(message.body, message.headers | changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret()).verify(message.body, message.headers)


def test_a_retry_has_the_same_id_and_its_own_time_and_signature() -> None:
    sent = parcel(make_secret())
    first, second = (to_message(sent, now_s=at_s, version="1") for at_s in (1000.9, 1300.2))
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [each.headers["webhook-timestamp"] for each in (first, second)] == ["1000", "1300"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.body == second.body


def test_a_secret_stands_in_no_log() -> None:
    secret = make_secret()
    webhook = Record(
        id="wh_1", organisation_id="o", url="u", events=(), status=WebhookStatus.ACTIVE, created_at=0
    )
    for shown in (
        repr(NewWebhook(webhook=webhook, secret=secret)),
        repr(parcel(secret)),
        redact(f"x {secret} y"),
    ):
        assert secret not in shown
