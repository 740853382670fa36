"""What is said of runs and checkpoints: name -> (English, Persian), with the same placeholders. Data alone."""

from __future__ import annotations

from collections.abc import Mapping

RUNS: Mapping[str, tuple[str, str]] = {
    "damaged": ("the checkpoint cannot be used: {reason}", "چک‌پوینت به کار نمی‌آید: {reason}"),
    "lacks": ("the checkpoint lacks {what}", "چک‌پوینت این را ندارد: {what}"),
    "exploded": (
        "its weights are out of bounds: {name} reaches {value}, over {limit}",
        "وزن‌هایش از اندازه بیرون است: {name} به {value} می‌رسد، بیش از {limit}",
    ),
    "newer_and_ill": (
        "newer, but the run was already diverging when it was saved",
        "تازه‌تر است، اما هنگام ذخیرهٔ آن اجرا از پیش واگرا شده بود",
    ),
    "choose_older": ("take an older checkpoint of the run", "چک‌پوینت قدیمی‌ترِ همین اجرا را بردارید"),
    "checkpoint_good": (
        "whole and finite, update {update}, largest weight {largest}",
        "سالم و متناهی، به‌روزرسانی {update}، بزرگ‌ترین وزن {largest}",
    ),
    "ill_sign": ("{sign}: {sentence}", "{sign}: {sentence}"),
    "see_sign": (
        "halve optimizer.learning_rate and go on from a checkpoint of before; `fix --run` does it",
        "optimizer.learning_rate را نصف کنید و از چک‌پوینتی پیش از آن ادامه دهید؛ `fix --run` همین کار را می‌کند",
    ),
    "sign_finite": ("values are finite", "متناهی‌بودن مقدارها"),
    "sign_falls": ("the loss falls", "پایین‌آمدن زیان"),
    "sign_range": ("the loss is within 0.5 to 5", "زیان بین ۰٫۵ و ۵"),
    "sign_norm": ("the gradient norm is under 1", "نُرم گرادیان زیر ۱"),
    "sign_skips": ("no update is skipped", "ردنشدن به‌روزرسانی‌ها"),
    "sign_validation": ("the validation does not rise", "بالانرفتن اعتبارسنجی"),
    "sign_wait": ("waiting for data is under 20%", "انتظار برای داده زیر ۲۰٪"),
    "sign_speakers": ("speakers", "گوینده‌ها"),
    "sign_voices": ("voices are told apart", "بازشناختن صداها از هم"),
    "sign_other": ("another sign", "نشانه‌ای دیگر"),
    "run_checkpoints": (
        "checkpoints: {all}, whole and finite: {good}",
        "چک‌پوینت‌ها: {all}، سالم و متناهی: {good}",
    ),
    "run_newest": (
        "the newest good one: {name} (update {update})",
        "تازه‌ترین چک‌پوینت خوب: {name} (به‌روزرسانی {update})",
    ),
    "no_config": ("there is no config.yaml", "فایل config.yaml نیست"),
    "no_metrics": (
        "there are no metrics to read, so nothing is known of the time before",
        "فایل metrics.jsonl برای خواندن نیست؛ پس از گذشتهٔ اجرا چیزی دانسته نیست",
    ),
    "fix_run": ("{python} fix_nan_loss.py fix --run {run}", "{python} fix_nan_loss.py fix --run {run}"),
    "ladder_gave_up": (
        "the ladder of recovery gave up: every rung was tried",
        "نردبانِ بازیابی تسلیم شد: همهٔ پله‌ها آزموده شد",
    ),
    "ladder_factors": (
        "the ladder has lowered: learning rate x {rate_factor}, clip x {clip_factor}, mel weight x {mel_factor}",
        "نردبان این‌ها را کم کرده است: نرخ یادگیری × {rate_factor}، برش × {clip_factor}، وزن مِل × {mel_factor}",
    ),
    "ladder_wait": (
        "let the run go on; what it lowered by itself stays lowered",
        "بگذارید اجرا ادامه یابد؛ آنچه خودش کم کرده است کم می‌ماند",
    ),
    "quarantined": ("clips in quarantine: {count} ({names})", "کلیپ‌های در قرنطینه: {count} ({names})"),
    "hear_clips": (
        "listen to these clips and compare them with their texts; mend or delete their rows",
        "به این کلیپ‌ها گوش دهید و با متنشان بسنجید؛ سطرشان را درست یا پاک کنید",
    ),
    "health_healthy": ("healthy", "سالم"),
    "health_early": ("early", "هنوز زود"),
    "health_watch": ("watch", "تحت نظر"),
    "health_ill": ("ill", "بیمار"),
    "health_from_checkpoint": (
        "health: {sign} (as saved with the checkpoint of update {update})",
        "حال اجرا: {sign} (چنان‌که با چک‌پوینتِ به‌روزرسانی {update} ذخیره شده است)",
    ),
    "health_from_metrics": (
        "health: {sign} (replayed from metrics.jsonl up to update {update})",
        "حال اجرا: {sign} (بازخوانی‌شده از metrics.jsonl تا به‌روزرسانی {update})",
    ),
    "health_unknown": (
        "health: unknown, neither checkpoint nor metrics tell it",
        "حال اجرا: نامعلوم؛ نه چک‌پوینت آن را می‌گوید و نه metrics.jsonl",
    ),
    "reason_poisoned": (
        "values in {names} are not finite or out of bounds",
        "مقدارهای {names} نامتناهی یا بیرون از اندازه‌اند",
    ),
    "reason_ill": ("{sentence}", "{sentence}"),
    "reason_gave_up": ("the ladder of recovery gave up", "نردبانِ بازیابی تسلیم شد"),
    "reason_refused": (
        "{count} of the last 200 updates were refused",
        "از ۲۰۰ به‌روزرسانیِ اخیر {count} تا رد شده است",
    ),
    "reason_factors": (
        "the ladder has lowered learning rate, clip or mel weight",
        "نردبان نرخ یادگیری، برش یا وزن مِل را کم کرده است",
    ),
    "reset_moments": (
        "{count} moments of the optimizer and its step count, to zero",
        "{count} گشتاور بهینه‌ساز و شمارندهٔ گامش، به صفر",
    ),
    "reset_detector": ("the detector's gradient norms, to zero", "نُرم‌های گرادیانِ آشکارساز، به صفر"),
    "reset_health": ("the health, which is judged anew", "حال اجرا، که از نو سنجیده می‌شود"),
    "reset_ladder": (
        "the ladder, which begins at its foot; quarantine and strikes stay",
        "نردبان، که از پایین آغاز می‌شود؛ قرنطینه و خطاهای کلیپ‌ها می‌ماند",
    ),
    "plan_good": (
        "the newest checkpoint that is whole and finite: {name} (update {update}); its weights stay as they are",
        "تازه‌ترین چک‌پوینتِ سالم و متناهی: {name} (به‌روزرسانی {update})؛ وزن‌هایش همان می‌ماند",
    ),
    "plan_reason": ("the run diverged: {reason}", "اجرا واگرا شده است: {reason}"),
    "plan_aside": ("set aside: {name}: {why}", "کنار گذاشته می‌شود: {name}: {why}"),
    "plan_reset": ("reset: {what}", "بازنشانی: {what}"),
    "plan_lowered": (
        "config.yaml: {key} {before} -> {after} ({reason})",
        "config.yaml: {key} {before} -> {after} ({reason})",
    ),
    "plan_without": (
        "config.yaml: {key} is left out, since its default does not exist here",
        "config.yaml: {key} حذف می‌شود، چون مقدار پیش‌فرضش در اینجا وجود ندارد",
    ),
    "plan_no_divergence": (
        "nothing shows that the run diverged, so moments and settings stay (--reset resets them all the same)",
        "چیزی نشان نمی‌دهد که اجرا واگرا شده باشد؛ پس گشتاورها و تنظیم‌ها می‌ماند "
        "(‎--reset‎ آن‌ها را به هر حال بازنشانی می‌کند)",
    ),
    "plan_empty": (
        "nothing is to be mended in {run}: the newest checkpoint is whole and finite ({name})",
        "در {run} چیزی برای تعمیر نیست: تازه‌ترین چک‌پوینت سالم و متناهی است ({name})",
    ),
    "plan_done": (
        "done; what was there before is in {backup}",
        "انجام شد؛ آنچه پیش‌تر بود در {backup} است",
    ),
    "plan_undo": ("this brings it back: {command}", "بازگرداندنِ آن با: {command}"),
    "plan_go_on": ("this goes on: {command}", "ادامهٔ کار با: {command}"),
    "do_no_checkpoint": (
        "there is no checkpoint yet: start the training again with the same command",
        "هنوز چک‌پوینتی نیست: آموزش را با همان فرمان دوباره شروع کنید",
    ),
    "do_none_whole": (
        "no checkpoint can be used: restore one from a copy, or start over with --fresh",
        "هیچ چک‌پوینتی به کار نمی‌آید: یکی را از نسخهٔ پشتیبان برگردانید، یا با ‎--fresh‎ از نو شروع کنید",
    ),
    "do_fix_run": (
        "repair the run: {python} fix_nan_loss.py fix --run {run}",
        "اجرا را تعمیر کنید: {python} fix_nan_loss.py fix --run {run}",
    ),
    "do_quarantine": (
        "listen to the clips in quarantine and mend or delete their rows",
        "به کلیپ‌های قرنطینه گوش دهید و سطرشان را درست یا پاک کنید",
    ),
    "do_signs": (
        "look at the signs above that are not healthy; each says what to do",
        "به نشانه‌های ناسالمِ بالا نگاه کنید؛ هر کدام می‌گوید چه کنید",
    ),
    "do_nothing": ("nothing: let it train", "هیچ: بگذارید آموزش ببیند"),
    "rung_0": ("a bad micro-batch was dropped", "یک ریزدستهٔ بد کنار گذاشته شد"),
    "rung_1": ("a bad update was skipped", "یک به‌روزرسانیِ بد رد شد"),
    "rung_2": ("a clip was put in quarantine", "یک کلیپ به قرنطینه رفت"),
    "rung_3": ("back to a healthy checkpoint", "بازگشت به چک‌پوینتی سالم"),
    "rung_4": ("back, and the learning rate halved", "بازگشت، و نصف‌شدن نرخ یادگیری"),
    "rung_5": ("back, and the clip to a third", "بازگشت، و یک‌سوم‌شدن برش"),
    "rung_6": ("back, and the mel weight halved", "بازگشت، و نصف‌شدن وزن مِل"),
    "rung_7": ("gave up with a diagnosis", "تسلیم با یک تشخیص"),
}
