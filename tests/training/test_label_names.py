"""Labels that were written wrongly are mentioned, and those that are just alike are not."""

import pytest

from training.data.label_names import misspelt


@pytest.mark.parametrize(
    ("rare", "often"),
    [
        ("Billing##Refnd", "Billing##Refund"),
        ("Billing##Refuned", "Billing##Refund"),
        ("Billing##Refudn", "Billing##Refund"),
        ("Billing##refund s", "Billing##Refunds"),
        ("物流##延 迟", "物流##延迟"),
        ("คำถาม##ราคาา", "คำถาม##ราคา"),
        ("Biling", "Billing"),
    ],
)
def test_a_slip_is_mentioned(rare, often):
    (said,) = misspelt([rare, often], {rare: 1, often: 37})
    assert f"{rare!r} (1 row) and {often!r} (37)" in said


@pytest.mark.parametrize(
    ("rare", "rows", "often"),
    [
        ("财经##上映", 1, "财经##上市"),  # short names mean other things by a character
        ("Billing##Refnd", 5, "Billing##Refund"),  # not rare
        ("Returns##Refnd", 1, "Billing##Refund"),  # elsewhere
        ("room##room1", 1, "room##room2"),
        ("Billing##Refund", 1, "Billing##Refused"),
    ],
)
def test_labels_that_are_just_alike_are_not(rare, rows, often):
    assert list(misspelt([rare, often], {rare: rows, often: 37})) == []
