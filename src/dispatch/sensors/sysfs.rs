//! VRAM of AMD's and Intel's GPUs from Linux's sysfs. Other systems have no such
//! folder and so no such GPUs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Vram, VramMeter};

/// Where Linux lists graphics cards and their connectors.
pub const CARDS: &str = "/sys/class/drm";

struct Card {
    name: String,
    device: PathBuf,
}

/// The cards under `root` whose drivers report VRAM (`mem_info_vram_total` and
/// `mem_info_vram_used`, in bytes), in the order of their numbers.
pub fn gpus(root: &Path) -> Vec<Box<dyn VramMeter>> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let mut cards: Vec<(u32, Card)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            // `card0` is a card, `card0-HDMI-A-1` one of its connectors.
            let number = name.strip_prefix("card")?.parse().ok()?;
            let mut card = Card { name, device: entry.path().join("device") };
            card.sample().ok()?;
            Some((number, card))
        })
        .collect();
    cards.sort_by_key(|(number, _)| *number);
    cards.into_iter().map(|(_, card)| Box::new(card) as Box<dyn VramMeter>).collect()
}

impl Card {
    fn figure(&self, file: &str) -> Result<u64> {
        let path = self.device.join(file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        text.trim().parse().with_context(|| format!("{} is not a number of bytes: {text:?}", path.display()))
    }
}

impl VramMeter for Card {
    fn name(&self) -> &str {
        &self.name
    }

    fn sample(&mut self) -> Result<Vram> {
        let total = self.figure("mem_info_vram_total")?;
        let used = self.figure("mem_info_vram_used")?;
        Ok(Vram { total, free: total.saturating_sub(used) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as amdgpu shows it: a card with figures, its connector, a card without.
    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (card, figures) in [
            ("card10", Some(("8573157376\n", "1234567168\n"))),
            ("card2", Some(("17163091968\n", "163091968\n"))),
            ("card2-HDMI-A-1", Some(("1\n", "1\n"))),
            ("card0", None),
            ("renderD128", Some(("1\n", "1\n"))),
        ] {
            let device = root.path().join(card).join("device");
            std::fs::create_dir_all(&device).unwrap();
            if let Some((total, used)) = figures {
                std::fs::write(device.join("mem_info_vram_total"), total).unwrap();
                std::fs::write(device.join("mem_info_vram_used"), used).unwrap();
            }
        }
        root
    }

    #[test]
    fn cards_with_figures_are_found_in_order_and_read() {
        let root = tree();
        let mut found = gpus(root.path());
        assert_eq!(found.iter().map(|gpu| gpu.name()).collect::<Vec<_>>(), ["card2", "card10"]);
        assert_eq!(found[0].sample().unwrap(), Vram { total: 17_163_091_968, free: 17_000_000_000 });
        assert_eq!(found[1].sample().unwrap(), Vram { total: 8_573_157_376, free: 7_338_590_208 });
    }

    #[test]
    fn figures_that_vanish_or_make_no_sense_are_errors_that_name_the_file() {
        let root = tree();
        let mut found = gpus(root.path());
        let used = root.path().join("card2/device/mem_info_vram_used");
        std::fs::write(&used, "lots\n").unwrap();
        let error = format!("{:#}", found[0].sample().unwrap_err());
        assert!(error.contains("mem_info_vram_used is not a number of bytes"), "{error}");
        std::fs::remove_file(&used).unwrap();
        assert!(format!("{:#}", found[0].sample().unwrap_err()).contains("cannot read"));
        assert_eq!(gpus(&root.path().join("nothing")).len(), 0);
    }
}
