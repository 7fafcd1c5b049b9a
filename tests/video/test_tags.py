"""stpcodec/video/tags.py: which tags travel, and where to."""

from __future__ import annotations

from stpcodec.video.tags import content_tags, needs_free_tags, track_tags


def test_tags_about_the_old_file_stay_behind() -> None:
    tags = {
        "title": "T", "major_brand": "isom", "ENCODER": "Lavf", "DURATION": "00:01", "BPS-eng": "3",
        "_STATISTICS_TAGS": "x", "stpcodec_field_order": "2", "Director": "D",
    }  # fmt: skip
    assert content_tags(tags) == {"title": "T", "Director": "D"}


def test_a_track_is_named_by_its_title_everywhere() -> None:
    for format_name in ("mp4", "mov", "matroska"):
        assert track_tags({"name": "Commentary"}, format_name)[0] == {"title": "Commentary"}
    assert track_tags({"NAME": "old", "title": "new"}, "matroska")[0] == {"title": "new"}


def test_mp4_tracks_hold_few_tags() -> None:
    kept, refused = track_tags({"language": "deu", "mood": "blue", "title": "T"}, "mp4")
    assert kept == {"language": "deu", "title": "T"}
    assert refused == ["mood"]
    assert track_tags({"mood": "blue"}, "matroska") == ({"mood": "blue"}, [])


def test_quicktime_languages_are_the_bibliographic_codes() -> None:
    assert track_tags({"language": "deu"}, "mov")[0]["language"] == "ger"
    assert track_tags({"language": "deu"}, "mp4")[0]["language"] == "deu"


def test_free_tags_only_where_the_usual_place_is_missing() -> None:
    assert not needs_free_tags({"TITLE": "x", "artist": "y"}, "mp4")
    assert needs_free_tags({"title": "x", "mood": "y"}, "mp4")
    assert needs_free_tags({"composer": "y"}, "mov")
    assert not needs_free_tags({"mood": "y"}, "matroska")
