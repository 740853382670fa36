"""What frames the findings on the screen: name -> (English, Persian), with the same placeholders. Data alone."""

from __future__ import annotations

from collections.abc import Mapping

SCREEN: Mapping[str, tuple[str, str]] = {
    "kind_settings": ("settings", "تنظیم‌ها"),
    "kind_dataset": ("data", "داده"),
    "kind_run": ("run", "اجرا"),
    "kind_checkpoint": ("checkpoint", "چک‌پوینت"),
    "kind_log": ("log", "گزارش آموزش"),
    "head": ("{target} ({kind})", "{target} ({kind})"),
    "rank_certain": ("certain", "حتمی"),
    "rank_likely": ("likely", "محتمل"),
    "rank_possible": ("possible", "ممکن"),
    "causes": ("causes of NaN, the surest first:", "علت‌های NaN، از حتمی‌ترین:"),
    "no_causes": ("nothing here leads to NaN", "در اینجا چیزی نیست که به NaN بینجامد"),
    "cause": ("{rank}: {what}", "{rank}: {what}"),
    "where": ("where: {where}", "کجا: {where}"),
    "do": ("do: {do}", "چه کنید: {do}"),
    "dry_run": (
        "nothing was written; with --apply it is",
        "چیزی نوشته نشد؛ با ‎--apply‎ نوشته می‌شود",
    ),
    "dry_run_no_out": (
        "nothing was written; --out FILE --apply writes the stable settings",
        "چیزی نوشته نشد؛ ‎--out FILE --apply‎ تنظیم‌های پایدار را می‌نویسد",
    ),
    "usual_head": ("What is at the usual places:", "آنچه در جاهای معمول هست:"),
    "usual_line": (
        "{target} ({kind}): {certain} certain, {likely} likely, {possible} possible causes of NaN",
        "{target} ({kind}): {certain} علت حتمی، {likely} محتمل و {possible} ممکن برای NaN",
    ),
    "usual_first": ("first of all, {rank}: {what}", "پیش از همه، {rank}: {what}"),
    "usual_unreadable": ("{target}: {problem}", "{target}: {problem}"),
    "usual_none": (
        "nothing at the usual places ({places})",
        "در جاهای معمول چیزی نیست ({places})",
    ),
    "next_head": ("What to run next:", "گام بعدی:"),
    "next_check": (
        "{python} fix_nan_loss.py check {targets}",
        "{python} fix_nan_loss.py check {targets}",
    ),
    "next_fix_run": (
        "{python} fix_nan_loss.py fix --run {target}",
        "{python} fix_nan_loss.py fix --run {target}",
    ),
    "next_fix_config": (
        "{python} fix_nan_loss.py fix --config {target} --out {out}",
        "{python} fix_nan_loss.py fix --config {target} --out {out}",
    ),
    "next_train": ("{python} train_stable.py", "{python} train_stable.py"),
    "next_any": (
        "or give it what it shall look at: {python} fix_nan_loss.py check SETTINGS DATA RUN LOG",
        "یا بگویید به چه نگاه کند: {python} fix_nan_loss.py check SETTINGS DATA RUN LOG",
    ),
    "doctor_head": ("The run in {run}", "اجرای درون {run}"),
    "signs_head": ("Signs:", "نشانه‌ها:"),
    "sign_line": ("{sign} [{state}] {sentence}", "{sign} [{state}] {sentence}"),
    "checkpoints_head": ("Checkpoints:", "چک‌پوینت‌ها:"),
    "checkpoint_bad": ("{name}: {why}", "{name}: {why}"),
    "ladder_head": ("The ladder:", "نردبان:"),
    "ladder_no_events": (
        "there is no events.jsonl: nothing is known of it",
        "فایل events.jsonl نیست: از نردبان چیزی دانسته نیست",
    ),
    "ladder_never": ("never needed", "هرگز لازم نشد"),
    "ladder_count": ("rung {rung}, {meaning}: {count}", "پلهٔ {rung}، {meaning}: {count} بار"),
    "ladder_event": ("update {update}, rung {rung}: {message}", "به‌روزرسانی {update}، پلهٔ {rung}: {message}"),
    "ladder_newest": ("the newest steps:", "تازه‌ترین گام‌ها:"),
    "ladder_repaired": (
        "repairs by fix_nan_loss.py: {count}",
        "تعمیرها با fix_nan_loss.py: {count}",
    ),
    "ladder_old": (
        "this run is from before the ladder: its checkpoints keep no state of it",
        "این اجرا پیش از نردبان ساخته شده است: چک‌پوینت‌هایش حالتی از آن ندارند",
    ),
    "worst_head": ("The worst utterances:", "بدترین گفته‌ها:"),
    "worst_old": (
        "not known: this run keeps no loss of each utterance",
        "دانسته نیست: این اجرا زیانِ تک‌تک گفته‌ها را نگه نمی‌دارد",
    ),
    "worst_none": ("none has been seen yet", "هنوز هیچ گفته‌ای دیده نشده است"),
    "worst_columns": (
        "utterance|mean loss|seen|strikes|quarantine",
        "گفته|میانگین زیان|دیده‌شده|خطا|قرنطینه",
    ),
    "do_head": ("What to do:", "چه باید کرد:"),
}
