"""Names in the older system that say what they are called here only with others, and names of values. Data alone.

Names that are simply other ones stand in config/other_names.py.
"""

from __future__ import annotations

from collections.abc import Mapping

BELOW: Mapping[str, str] = {
    "optimizer.name": "optimizer.name",
    "optimizer.type": "optimizer.name",
    "optimizer.class_name": "optimizer.name",
    "training.optimizer": "optimizer.name",
    "loss_weights.mel": "loss.mel_weight",
    "loss_weights.kl": "loss.kl_weight",
    "loss_weights.duration": "loss.duration_weight",
    "loss_weights.pitch": "loss.pitch_weight",
    "loss_weights.energy": "loss.energy_weight",
    "early_stopping.patience": "training.early_stopping_validations",
    "early_stopping.min_delta": "training.early_stopping_min_delta",
}
"""The last two parts of an older key, where the last alone says too little."""

COMBINED: Mapping[str, str] = {
    "use_huber_loss": "use_huber",
    "huber_loss": "use_huber",
    "huber_delta": "huber_delta",
    "use_label_smoothing": "use_smoothing",
    "label_smoothing": "smoothing",
    "mel_label_smoothing": "smoothing",
    "mixed_precision": "mixed",
    "use_mixed_precision": "mixed",
    "use_amp": "mixed",
    "amp": "mixed",
    "fp16": "mixed",
    "fp16_run": "mixed",
    "precision": "precision",
    "dtype_policy": "precision",
    "scheduler": "scheduler",
    "lr_scheduler": "scheduler",
    "scheduler_type": "scheduler",
    "cosine_restarts": "restarts",
    "use_cosine_restarts": "restarts",
    "use_warmup_cosine_schedule": "cosine",
    "min_learning_rate": "lowest_rate",
    "min_lr": "lowest_rate",
    "betas": "betas",
    "optimizer_betas": "betas",
    "adam_betas": "betas",
}
"""Older keys that say something only together with others; settings_file.py puts them together."""

SCHEDULES: Mapping[str, str] = {
    "noam": "inverse_sqrt",
    "inverse_sqrt": "inverse_sqrt",
    "constant": "constant",
    "none": "constant",
    "constant_with_warmup": "constant",
    "cosine": "cosine",
    "cosine_annealing": "cosine",
    "cosine_with_warmup": "cosine",
    "cosine_restarts": "cosine_restarts",
    "cosine_with_restarts": "cosine_restarts",
    "cosine_annealing_warm_restarts": "cosine_restarts",
    "cosineannealingwarmrestarts": "cosine_restarts",
}

PRECISIONS: Mapping[str, str] = {
    "mixed_float16": "fp16",
    "float16": "fp16",
    "half": "fp16",
    "16": "fp16",
    "16-mixed": "fp16",
    "mixed_bfloat16": "bf16",
    "bfloat16": "bf16",
    "bf16-mixed": "bf16",
    "float32": "fp32",
    "32": "fp32",
    "32-true": "fp32",
}

OPTIMIZERS: Mapping[str, str] = {"adam": "adamw", "adamw": "adamw", "adam_w": "adamw", "muon": "muon"}

DECODERS: Mapping[str, str] = {"autoregressive": "regression", "non_autoregressive": "regression"}

_NAMES = """
text_encoder_dim text_encoder_layers text_encoder_heads text_vocab_size audio_encoder_dim audio_encoder_layers
audio_encoder_heads decoder_dim decoder_layers decoder_heads n_mels n_fft hop_length win_length sample_rate
speaker_embedding_dim use_voice_conditioning use_duration_predictor vocoder_type vocoder_upsample_rates
vocoder_upsample_kernel_sizes vocoder_resblock_kernel_sizes vocoder_resblock_dilation_sizes
vocoder_initial_channel languages max_text_length tokenizer_type tokenizer_model use_pretrained_speaker_encoder
pretrained_speaker_encoder_path freeze_speaker_encoder speaker_encoder_type use_gst gst_num_style_tokens
gst_style_token_dim gst_style_embedding_dim gst_num_heads gst_reference_encoder_dim
enable_gradient_checkpointing max_attention_sequence_length dataset_name metadata_train_file metadata_eval_file
wavs_train_dir wavs_eval_dir trim_silence normalize_audio text_cleaners enable_multispeaker speaker_id_pattern
max_speakers enable_loudness_normalization target_loudness_lufs enable_vad enable_pitch_shift pitch_shift_range
enable_noise_mixing noise_mixing_probability noise_mixing_snr_range enable_phone_normalization use_phonemes
enable_multilingual supported_languages language_detection_method train_split train_subset_fraction
eval_subset_fraction subset_seed prefetch_buffer_size shuffle_buffer_multiplier enable_memory_mapping
cache_verification prefetch_to_gpu max_mel_frames enable_xla enable_tensorrt pin_memory persistent_workers
preprocessing_mode use_tf_native_loading enhanced_gpu_prefetch optimize_cpu_gpu_overlap auto_tune_performance
max_memory_fraction enable_memory_cleanup attention_loss_weight prosody_pitch_loss_weight
prosody_energy_loss_weight speaking_rate_loss_weight max_duration_frames auxiliary_head_regularization
loss_smoothing_factor max_loss_spike_threshold gradient_norm_threshold loss_alert_threshold
stop_label_smoothing stop_token_positive_weight use_simple_loss use_wandb wandb_project multi_gpu visible_gpus
enable_automatic_evaluation evaluation_interval use_ema lr_schedule
"""
WITHOUT_COUNTERPART = frozenset(_NAMES.split())
"""Names of the older system that mean nothing here: they are told and left out."""
