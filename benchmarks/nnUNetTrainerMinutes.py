"""nnU-Net's trainer with a limit in minutes instead of epochs, for against_nnunet.py.

against_nnunet.py copies it into nnU-Net's package, where nnU-Net looks for trainers.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

# At the end of an epoch, nnU-Net validates and saves. In a long run epochs take longer, so that
# there are at most so many.
EPOCH_SECONDS = 30.0
EPOCHS = 6


class nnUNetTrainerMinutes(nnUNetTrainer):  # noqa: N801
    """All of nnU-Net's settings; its poly schedule runs over the seconds spent.

    These are processor seconds per thread. Other work on the machine does not count, and neither do
    nnU-Net's validation and its augmentation, which has processes of its own.
    """

    def __init__(  # its parent keeps its arguments by these names
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        unpack_dataset: bool = True,
        device: Any = None,
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, unpack_dataset, device)
        # Without this, nnU-Net uses all cores.
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.budget = 60 * float(os.environ["NNUNET_MINUTES"])
        self.epoch_seconds = max(EPOCH_SECONDS, self.budget / EPOCHS)
        self.spent = 0.0
        self.iterations = 0
        self.num_val_iterations_per_epoch = max(1, 64 // self.configuration_manager.batch_size)
        self.save_every = 1

    def configure_optimizers(self) -> Any:
        """Return nnU-Net's optimiser, and its schedule over the time spent.

        nnU-Net's own scheduler does not load with this PyTorch.
        """
        optimizer = SGD(
            self.network.parameters(),
            self.initial_lr,
            weight_decay=self.weight_decay,
            momentum=0.99,
            nesterov=True,
        )
        return optimizer, LambdaLR(optimizer, self.learning_rate_factor)

    def learning_rate_factor(self, _epoch: int) -> float:
        """Return nnU-Net's poly schedule, over the time spent."""
        return float((1 - min(self.spent / self.budget, 0.999)) ** 0.9)

    def run_training(self) -> None:
        self.on_train_start()
        while self.spent < self.budget:
            self.on_epoch_start()
            self.on_train_epoch_start()
            losses, before, began = [], self.spent, time.process_time()
            until = min(before + self.epoch_seconds, self.budget)
            while not losses or self.spent < until:
                losses.append(self.train_step(next(self.dataloader_train)))
                self.spent = before + (time.process_time() - began) / torch.get_num_threads()
            self.iterations += len(losses)
            self.on_train_epoch_end(losses)
            self.on_validation_epoch_start()
            outputs = []
            for _ in range(self.num_val_iterations_per_epoch):
                outputs.append(self.validation_step(next(self.dataloader_val)))
            self.on_validation_epoch_end(outputs)
            self.on_epoch_end()
            self.note()
        self.on_train_end()

    def note(self) -> None:
        """Append a line to the curve, which outlives this process."""
        value = float(np.nan_to_num(self.logger.my_fantastic_logging["mean_fg_dice"][-1]))
        row = {
            "seconds": round(self.spent, 1),
            "iterations": self.iterations,
            "pseudo dice": round(value, 4),
        }
        with Path(self.output_folder, "curve.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def save_checkpoint(self, filename: str) -> None:
        super().save_checkpoint(filename)
        Path(filename).with_suffix(".json").write_text(json.dumps([self.spent, self.iterations]))

    def load_checkpoint(self, filename_or_checkpoint: Any) -> None:
        super().load_checkpoint(filename_or_checkpoint)
        kept = Path(filename_or_checkpoint).with_suffix(".json")
        self.spent, self.iterations = json.loads(kept.read_text())

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Do nothing: recontour scores all models alike."""
