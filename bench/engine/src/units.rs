//! What the processor's units do at best: whether arithmetic in bf16 could pay.

use std::time::Instant;

/// Prints the median of nine measurements of one core, f32 and bf16 in turn.
pub(crate) fn run() {
    let start = Instant::now();
    let now = || start.elapsed().as_secs_f64();
    let measured: Vec<tercet_engine::Units> = (0..9).map(|_| tercet_engine::units(&now)).collect();
    let line = |name: &str, of: fn(&tercet_engine::Units) -> Option<f64>| {
        let mut rates: Vec<f64> = measured.iter().filter_map(of).map(|rate| rate * 1e-9).collect();
        rates.sort_by(f64::total_cmp);
        match rates.get(rates.len() / 2) {
            Some(median) => {
                println!("{name}: {median:.0} GFLOP/s ({:.0}–{:.0})", rates[0], rates[rates.len() - 1]);
            }
            None => println!("{name}: not offered by this processor"),
        }
    };
    println!("One core, independent chains of multiply-adds in registers, two operations each:");
    line("f32 (vfmadd231ps, 512 bits)", |units| units.f32);
    line("bf16 into f32 (vdpbf16ps, 512 bits)", |units| units.bf16);
    let amx = std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains(" amx_bf16"));
    println!(
        "bf16 tiles (AMX): {}",
        if amx { "offered, not measured" } else { "not offered by this processor" }
    );
}
