"""Names of settings in the older system and in programs like it, and what they are called here. Data alone."""

from __future__ import annotations

from collections.abc import Mapping

SAME: Mapping[str, str] = {
    # optimizer
    "learning_rate": "optimizer.learning_rate",
    "lr": "optimizer.learning_rate",
    "base_lr": "optimizer.learning_rate",
    "initial_learning_rate": "optimizer.learning_rate",
    "peak_learning_rate": "optimizer.learning_rate",
    "gradient_clip_norm": "optimizer.clip_norm",
    "gradient_clip_val": "optimizer.clip_norm",
    "gradient_clip": "optimizer.clip_norm",
    "gradient_clipping": "optimizer.clip_norm",
    "grad_clip": "optimizer.clip_norm",
    "grad_clip_norm": "optimizer.clip_norm",
    "clip_grad_norm": "optimizer.clip_norm",
    "max_grad_norm": "optimizer.clip_norm",
    "global_clipnorm": "optimizer.clip_norm",
    "clipnorm": "optimizer.clip_norm",
    "beta1": "optimizer.beta_1",
    "beta_1": "optimizer.beta_1",
    "adam_beta1": "optimizer.beta_1",
    "beta2": "optimizer.beta_2",
    "beta_2": "optimizer.beta_2",
    "adam_beta2": "optimizer.beta_2",
    "eps": "optimizer.epsilon",
    "epsilon": "optimizer.epsilon",
    "adam_epsilon": "optimizer.epsilon",
    "adam_eps": "optimizer.epsilon",
    "weight_decay": "optimizer.weight_decay",
    # schedule
    "warmup_steps": "schedule.warmup_updates",
    "warmup_updates": "schedule.warmup_updates",
    "warmup": "schedule.warmup_updates",
    "num_warmup_steps": "schedule.warmup_updates",
    "restart_period": "schedule.decay_updates",
    "first_decay_steps": "schedule.decay_updates",
    "decay_steps": "schedule.decay_updates",
    "t_0": "schedule.decay_updates",
    "t_initial": "schedule.decay_updates",
    "restart_mult": "schedule.restart_growth",
    "restart_multiplier": "schedule.restart_growth",
    "t_mul": "schedule.restart_growth",
    "t_mult": "schedule.restart_growth",
    # loss weights
    "mel_loss_weight": "loss.mel_weight",
    "mel_weight": "loss.mel_weight",
    "kl_loss_weight": "loss.kl_weight",
    "kl_weight": "loss.kl_weight",
    "kld_weight": "loss.kl_weight",
    "duration_loss_weight": "loss.duration_weight",
    "duration_weight": "loss.duration_weight",
    "dur_loss_weight": "loss.duration_weight",
    "pitch_loss_weight": "loss.pitch_weight",
    "pitch_weight": "loss.pitch_weight",
    "energy_loss_weight": "loss.energy_weight",
    "energy_weight": "loss.energy_weight",
    "alignment_loss_weight": "loss.alignment_weight",
    "voice_similarity_loss_weight": "loss.voice_similarity_weight",
    "voice_similarity_weight": "loss.voice_similarity_weight",
    "speaker_classification_loss_weight": "loss.speaker_classification_weight",
    "speaker_classification_weight": "loss.speaker_classification_weight",
    "voice_reconstruction_loss_weight": "loss.voice_reconstruction_weight",
    "voice_reconstruction_weight": "loss.voice_reconstruction_weight",
    "prosody_matching_loss_weight": "loss.prosody_matching_weight",
    "prosody_matching_weight": "loss.prosody_matching_weight",
    "spectral_consistency_loss_weight": "loss.spectral_consistency_weight",
    "spectral_consistency_weight": "loss.spectral_consistency_weight",
    "use_adaptive_loss_weights": "loss.adaptive_weights",
    "use_adaptive_weights": "loss.adaptive_weights",
    "adaptive_loss_weights": "loss.adaptive_weights",
    "adaptive_weights": "loss.adaptive_weights",
    # training
    "batch_size": "training.batch_size",
    "train_batch_size": "training.batch_size",
    "gradient_accumulation_steps": "training.grad_accum",
    "gradient_accumulation": "training.grad_accum",
    "accumulate_grad_batches": "training.grad_accum",
    "accumulation_steps": "training.grad_accum",
    "grad_accum": "training.grad_accum",
    "grad_accum_steps": "training.grad_accum",
    "epochs": "training.epochs",
    "num_epochs": "training.epochs",
    "max_epochs": "training.epochs",
    "max_steps": "training.max_updates",
    "total_steps": "training.max_updates",
    "num_train_steps": "training.max_updates",
    "max_updates": "training.max_updates",
    "seed": "training.seed",
    "random_seed": "training.seed",
    "ema_decay": "training.ema_decay",
    "checkpoint_dir": "training.checkpoint_dir",
    "checkpoint_path": "training.checkpoint_dir",
    "output_dir": "training.checkpoint_dir",
    "output_path": "training.checkpoint_dir",
    "save_step": "training.checkpoint_every_updates",
    "save_steps": "training.checkpoint_every_updates",
    "save_every": "training.checkpoint_every_updates",
    "checkpoint_step": "training.checkpoint_every_updates",
    "checkpoint_steps": "training.checkpoint_every_updates",
    "checkpoint_interval": "training.checkpoint_every_updates",
    "save_interval": "training.checkpoint_every_updates",
    "val_step": "training.validation_every_updates",
    "val_steps": "training.validation_every_updates",
    "validation_step": "training.validation_every_updates",
    "validation_steps": "training.validation_every_updates",
    "validation_interval": "training.validation_every_updates",
    "eval_steps": "training.validation_every_updates",
    "eval_interval": "training.validation_every_updates",
    "log_step": "training.log_every_updates",
    "log_steps": "training.log_every_updates",
    "logging_steps": "training.log_every_updates",
    "log_interval": "training.log_every_updates",
    "early_stopping_patience": "training.early_stopping_validations",
    "early_stop_patience": "training.early_stopping_validations",
    "patience": "training.early_stopping_validations",
    "early_stopping_min_delta": "training.early_stopping_min_delta",
    "min_delta": "training.early_stopping_min_delta",
    # data
    "dataset_path": "data.train_path",
    "train_path": "data.train_path",
    "train_data": "data.train_path",
    "train_data_path": "data.train_path",
    "val_path": "data.val_path",
    "val_data": "data.val_path",
    "val_data_path": "data.val_path",
    "eval_data_path": "data.val_path",
    "num_workers": "data.num_workers",
    "max_audio_length": "data.max_clip_seconds",
    "max_text_tokens": "data.max_text_tokens",
    "val_split": "data.validation_share",
    "validation_split": "data.validation_share",
    "reference_audio_length": "data.reference_seconds",
    "language": "text.language",
    "phoneme_language": "text.language",
    "add_blank": "text.blank_between",
    # model
    "model_size": "model_size",
    "optimization_level": "optimization_level",
    "decoder_strategy": "model.decoder",
}
"""Last part of an older key -> the setting here that means the same."""

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
