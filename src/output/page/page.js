"use strict";
// The page of a report: plots (uPlot), pictures, table. Everything is made from
// the JSON in #data; nothing is loaded.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "text") element.textContent = value;
      else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const { frames, fps, metric, runs } = data;
  const fixed = (value, digits) => (value == null ? "–" : value.toFixed(digits));
  const signed = (value, digits) => (value == null ? "–" : (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(digits));
  const seconds = (frame) => (fps ? (frame * fps[1]) / fps[0] : null);
  const timecode = (frame) => {
    const at = seconds(frame);
    if (at == null) return "–";
    const pad = (n) => String(Math.floor(n)).padStart(2, "0");
    return `${Math.floor(at / 3600)}:${pad((at / 60) % 60)}:${pad(at % 60)}.${String(Math.floor((at * 1000) % 1000)).padStart(3, "0")}`;
  };
  const size = (bytes) => {
    if (bytes == null) return "–";
    for (const [unit, factor] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 1024]]) {
      if (bytes >= factor) return `${(bytes / factor).toFixed(1)} ${unit}`;
    }
    return `${bytes} B`;
  };
  const rate = (scene) => {
    const lasts = fps ? seconds(scene.end - scene.start) : 0;
    return scene.bytes == null || !lasts ? null : (scene.bytes * 8) / lasts / 1000;
  };
  const several = runs.length > 1;
  const digits = metric && metric.higher_is_better ? 2 : 3;

  // Colours are asked for while drawing, so that another theme needs a redraw only.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const theme = (dark) => document.documentElement.setAttribute("data-theme", dark ? "dark" : "light");
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  theme(prefers.matches);

  // ---- plots over frames, which share their range and cursor ----
  const plots = [];
  const RUN_COLOURS = ["one", "two"];
  const RUN_DASHES = [[], [7, 3]];
  const full = { min: 0, max: Math.max(frames, 1) };
  let range = { ...full };

  const setRange = (min, max) => {
    const width = Math.min(Math.max(max - min, 2), full.max);
    min = Math.min(Math.max(min, 0), full.max - width);
    range = { min, max: min + width };
    for (const plot of plots) plot.setScale("x", range);
    const [from, to] = [Math.round(range.min), Math.round(range.max)];
    $("range").textContent =
      `frames ${from} to ${to}` + (fps ? `, ${timecode(from)} to ${timecode(to)}` : "");
    if ($("inside") && $("inside").checked) fill();
  };
  const zoom = (factor) => {
    const middle = (range.min + range.max) / 2;
    const half = ((range.max - range.min) / 2) * factor;
    setRange(middle - half, middle + half);
  };
  const move = (share) => {
    const by = (range.max - range.min) * share;
    setRange(range.min + by, range.max + by);
  };
  const sceneAt = (frame, run = 0) => runs[run].scenes.findIndex((s) => frame >= s.start && frame < s.end);

  const axis = (label, scale, side) => ({
    label, scale, ...(side === undefined ? {} : { side }), size: 58, labelSize: 20, labelGap: 0,
    stroke: () => colour("faint"),
    grid: { stroke: () => colour("line"), width: 1, show: side === undefined || side === 3 },
    ticks: { stroke: () => colour("line") },
  });
  const frameAxis = { ...axis("frame", "x"), size: 44, values: (_, splits) => splits.map((n) => Math.round(n)) };
  const whereami = (_, frame) => {
    if (frame == null) return "–";
    const at = Math.min(Math.floor(frame), frames - 1);
    const scene = sceneAt(at);
    return `${at}${fps ? ` · ${timecode(at)}` : ""}${scene >= 0 ? ` · scene ${scene}` : ""}`;
  };

  const plot = (id, series, columns, axes, extra = {}) => {
    const host = $(id);
    const options = {
      width: host.clientWidth, height: 240,
      scales: { x: { time: false, range: () => [range.min, range.max] } },
      series: [{ label: "frame", value: whereami }, ...series],
      axes: [frameAxis, ...axes],
      legend: { markers: { width: 2, dash: (u, i) => (u.series[i].dash && u.series[i].dash.length ? "dashed" : "solid") } },
      cursor: { sync: { key: "frames" }, drag: { x: true, y: false, setScale: false } },
      hooks: {
        setSelect: [(u) => {
          if (u.select.width > 4) setRange(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }],
      },
      ...extra,
    };
    const made = new uPlot(options, columns, host);
    made.over.addEventListener("click", () => {
      if (made.cursor.idx == null) return;
      const scene = sceneAt(made.posToVal(made.cursor.left, "x"));
      if (scene >= 0) select(0, scene, false);
    });
    made.over.addEventListener("dblclick", () => setRange(full.min, full.max));
    host.addEventListener("keydown", (event) => {
      const act = {
        ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), "+": () => zoom(0.5), "=": () => zoom(0.5),
        "-": () => zoom(2), 0: () => setRange(full.min, full.max), Home: () => setRange(full.min, full.max),
      }[event.key];
      if (act) { act(); event.preventDefault(); }
    });
    plots.push(made);
  };
  const stepped = uPlot.paths.stepped({ align: 1 });
  // A value for each scene, from its first frame on; the last one lasts to the end.
  const steps = (run, value) => {
    const values = run.scenes.map((scene) => value(scene) ?? null);
    return [...values, values[values.length - 1] ?? null];
  };
  const starts = (run) => [...run.scenes.map((scene) => scene.start), frames];
  const line = (label, name, options = {}) => ({
    label, stroke: () => colour(name), width: 1.8, paths: stepped, points: { show: false },
    value: (_, value) => fixed(value, options.digits ?? digits), ...options,
  });
  const named = (run, what) => (several ? `${what}, ${run.name}` : what);

  const sceneCharts = () => {
    // Encodes with other scenes have other places on the frame axis.
    const joined = uPlot.join(runs.map((run) => [
      starts(run), steps(run, (s) => s.score), steps(run, (s) => s.target),
      steps(run, (s) => (s.standard_error ? s.score + 2 * s.standard_error : null)),
      steps(run, (s) => (s.standard_error ? s.score - 2 * s.standard_error : null)),
      steps(run, (s) => s.crf), steps(run, rate),
    ]));
    const hold = joined.map((column, index) => {
      if (!several || index === 0) return column;
      let last = null;
      return column.map((value) => (value === undefined || value === null ? last : (last = value)));
    });
    const column = (run, which) => hold[1 + run * 6 + which];
    const has = (values) => values.some((value) => value != null);
    const [series, columns, bands] = [[], [hold[0]], []];
    runs.forEach((run, r) => {
      if (!has(column(r, 0))) return;
      if (has(column(r, 2))) {
        const at = columns.length;
        for (const [which, label] of [[2, "+2 standard errors"], [3, "−2 standard errors"]]) {
          columns.push(column(r, which));
          series.push(line(named(run, label), RUN_COLOURS[r], { width: 0.5 }));
        }
        bands.push({ series: [at, at + 1], fill: () => colour(RUN_COLOURS[r]) + "30" });
      }
      columns.push(column(r, 0));
      series.push(line(named(run, "score"), RUN_COLOURS[r], { dash: RUN_DASHES[r] }));
    });
    if (columns.length > 1) {
      columns.push(column(0, 1));
      series.push(line("target", "target", { dash: [3, 3] }));
      plot("scores", series, columns, [axis(metric ? metric.name : "score", "y")], { bands });
    } else $("scores-figure").remove();

    const [marks, values, axes] = [[], [hold[0]], []];
    runs.forEach((run, r) => {
      if (!has(column(r, 4))) return;
      values.push(column(r, 4));
      marks.push(line(named(run, "CRF"), several ? RUN_COLOURS[r] : "crf", { scale: "crf", dash: RUN_DASHES[r] }));
    });
    if (marks.length) axes.push(axis("CRF", "crf"));
    const before = marks.length;
    runs.forEach((run, r) => {
      if (!has(column(r, 5))) return;
      values.push(column(r, 5));
      marks.push(line(named(run, "kbit/s"), several ? RUN_COLOURS[r] : "rate", { scale: "rate", dash: [2, 4], digits: 0 }));
    });
    if (marks.length > before) axes.push(axis("kbit/s", "rate", marks.length > before && before ? 1 : 3));
    if (marks.length) plot("crfs", marks, values, axes);
    else $("crfs-figure").remove();
  };

  const frameChart = () => {
    const tables = runs.map((run) => {
      const [at, scores] = [[], []];
      for (const scene of run.scenes) {
        (scene.frames || []).forEach((score, index) => {
          at.push(scene.at ? scene.at[index] : scene.start + index * run.every);
          scores.push(score);
        });
      }
      return [at, scores];
    });
    if (!tables.some(([at]) => at.length)) { $("frames-figure").remove(); return; }
    const joined = uPlot.join(tables);
    const sampled = runs.some((run) => run.every > 1 || run.scenes.some((scene) => scene.at));
    const series = runs.map((run, r) => ({
      label: named(run, "score"), stroke: () => colour(RUN_COLOURS[r]), width: 1, dash: RUN_DASHES[r], spanGaps: true,
      points: { show: sampled ? true : undefined, size: 5, stroke: () => colour(RUN_COLOURS[r]), fill: () => colour("paper") },
      value: (_, value) => fixed(value, digits),
    }));
    plot("frames", series, joined, [axis(metric ? metric.name : "score", "y")]);
  };

  const histogram = () => {
    const errors = runs.map((run) => run.scenes.map((s) => s.error).filter((error) => error != null));
    const all = errors.flat();
    if (!all.length) { $("errors-figure").remove(); return; }
    const most = Math.max(...all.map(Math.abs), metric.near);
    // Round steps, so that the limits are edges of bins.
    const step = [0.1, 0.2, 0.25, 0.5, 1, 2].map((part) => part * metric.near).find((s) => (2 * most) / s <= 60) ?? (2 * most) / 60;
    const bins = Math.ceil(most / step);
    const centres = Array.from({ length: 2 * bins }, (_, i) => (i - bins + 0.5) * step);
    const counts = errors.map((list) => centres.map((centre) =>
      list.filter((error) => error >= centre - step / 2 - 1e-9 && error < centre + step / 2 - 1e-9).length));
    const host = $("errors");
    const made = new uPlot({
      width: host.clientWidth, height: 200, cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-bins * step, bins * step] }, y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.05] } },
      series: [
        { label: "error", value: (_, v) => (v == null ? "–" : `${signed(v - step / 2, digits)} to ${signed(v + step / 2, digits)}`) },
        ...runs.map((run, r) => ({
          label: named(run, "scenes"), stroke: () => colour(RUN_COLOURS[r]), dash: RUN_DASHES[r],
          fill: r === 0 ? () => colour(RUN_COLOURS[r]) + "55" : undefined, points: { show: false },
          paths: r === 0 ? uPlot.paths.bars({ size: [1, 200] }) : uPlot.paths.stepped({ align: 0 }),
        })),
      ],
      axes: [{ ...axis("score − target", "x"), size: 44 }, { ...axis("scenes", "y"), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }],
    }, [centres, ...counts], host);
    plots.others = [made];
  };

  // ---- pictures ----
  let picture = 0;
  const showPicture = (index) => {
    picture = (index + data.pictures.length) % data.pictures.length;
    const shown = data.pictures[picture];
    $("left").src = shown.left;
    $("right").src = shown.right;
    $("left").alt = `frame ${shown.frame}, ${shown.left_name}`;
    $("right").alt = `frame ${shown.frame}, ${shown.right_name}`;
    $("left-name").textContent = shown.left_name;
    $("right-name").textContent = shown.right_name;
    $("which").value = picture;
    $("picture-words").textContent =
      `frame ${shown.frame}${fps ? ` (${timecode(shown.frame)})` : ""}, scene ${shown.scene}${shown.words ? `: ${shown.words}` : ""}`;
  };
  const slide = () => {
    const share = $("slider").value;
    $("left").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
    $("edge").style.left = `${(share / 100) * $("right").clientWidth}px`;
    $("slider").setAttribute("aria-valuetext", `${share} % of the width shows ${$("left-name").textContent}`);
  };
  const pictures = () => {
    if (!data.pictures.length) { $("pictures").hidden = true; return; }
    data.pictures.forEach((p, i) => $("which").append(make("option", { value: i, text: `frame ${p.frame}, scene ${p.scene}` })));
    $("which").addEventListener("change", () => showPicture(Number($("which").value)));
    $("previous").addEventListener("click", () => showPicture(picture - 1));
    $("next").addEventListener("click", () => showPicture(picture + 1));
    $("slider").addEventListener("input", slide);
    $("right").addEventListener("load", slide);
    $("enlarge").addEventListener("click", () => {
      const on = $("stack").classList.toggle("full");
      $("enlarge").setAttribute("aria-pressed", on);
      slide();
    });
    $("in-plots").addEventListener("click", () => select(0, data.pictures[picture].scene, true));
    $("stack").addEventListener("pointermove", (event) => {
      const box = $("right").getBoundingClientRect();
      $("slider").value = Math.min(100, Math.max(0, ((event.clientX - box.left) / box.width) * 100));
      slide();
    });
    showPicture(0);
  };

  // ---- table ----
  const same = several && runs[0].scenes.length === runs[1].scenes.length &&
    runs[0].scenes.every((s, i) => s.start === runs[1].scenes[i].start);
  const columns = [
    ...(several ? [{ name: "encode", words: true, sort: (row) => row.run, text: (row) => runs[row.run].name }] : []),
    { name: "scene", sort: (row) => row.index * 2 + row.run, text: (row) => String(row.index) },
    { name: "time", sort: (row) => row.start, text: (row) => timecode(row.start) },
    { name: "frames", sort: (row) => row.start, text: (row) => `${row.start}–${row.end}` },
    { name: "length", sort: (row) => row.end - row.start, text: (row) => String(row.end - row.start) },
    { name: "score", sort: (row) => row.score, text: (row) => fixed(row.score, digits) },
    { name: "±", title: "standard error", sort: (row) => row.standard_error, text: (row) => fixed(row.standard_error, digits) },
    { name: "target", sort: (row) => row.target, text: (row) => fixed(row.target, digits) },
    { name: "error", sort: (row) => row.error, text: (row) => signed(row.error, digits) },
    ...(same ? [{ name: `${runs[1].name} − ${runs[0].name}`, sort: (row) => difference(row), text: (row) => signed(difference(row), digits) }] : []),
    { name: "CRF", sort: (row) => row.crf, text: (row) => fixed(row.crf, 2) },
    { name: "kbit/s", sort: rate, text: (row) => fixed(rate(row), 0) },
    { name: "size", sort: (row) => row.bytes, text: (row) => size(row.bytes) },
    { name: "state", words: true, sort: (row) => row.state, text: (row) => row.state },
    { name: "zone", words: true, sort: (row) => row.zone ?? "", text: (row) => row.zone ?? "" },
    { name: "worst frames", words: true, sort: (row) => (row.worst[0] ? row.worst[0][1] : null), text: (row) => row.worst.map(([n, s]) => `${n} (${s.toFixed(digits)})`).join(", ") },
  ];
  const difference = (row) => {
    const [a, b] = [runs[0].scenes[row.index].score, runs[1].scenes[row.index].score];
    return a == null || b == null ? null : b - a;
  };
  const rows = runs.flatMap((run, r) => run.scenes.map((scene, index) => ({ ...scene, run: r, index })));
  const used = columns.filter((column) => rows.some((row) => !["–", ""].includes(column.text(row))));
  let order = { column: used.findIndex((c) => c.name === "scene"), down: false };
  let chosen = null;

  const kept = (row) => {
    const wanted = $("filter").value.trim().toLowerCase();
    const kind = $("kind").value;
    const inside = !$("inside").checked || (row.end > range.min && row.start < range.max);
    const fits = kind === "all" || (kind === "misses" ? row.misses : row.state.includes(kind));
    return inside && fits && (!wanted || used.some((column) => column.text(row).toLowerCase().includes(wanted)));
  };
  const fill = () => {
    const column = used[order.column];
    const list = rows.filter(kept).sort((a, b) => {
      const [x, y] = [column.sort(a), column.sort(b)];
      // What has no value is last whichever way it goes.
      if (x == null || y == null) return (x == null) - (y == null);
      return (x < y ? -1 : x > y ? 1 : a.index - b.index) * (order.down ? -1 : 1);
    });
    $("rows").replaceChildren(...list.map((row) => {
      const line = make("tr", { "data-key": `${row.run}:${row.index}` });
      used.forEach((c) => {
        const cell = make("td", c.words ? { class: "words" } : {});
        if (c.name === "scene") {
          cell.append(make("button", { type: "button", text: c.text(row), "aria-label": `show scene ${row.index} in the plots`, onclick: () => select(row.run, row.index, true) }));
        } else cell.textContent = c.text(row);
        line.append(cell);
      });
      return line;
    }));
    $("count").textContent = `${list.length} of ${rows.length} rows`;
    mark();
  };
  const mark = () => {
    for (const line of $("rows").children) {
      if (line.dataset.key === chosen) line.setAttribute("aria-selected", "true");
      else line.removeAttribute("aria-selected");
    }
  };
  // From a plot or a row to both.
  const select = (run, index, show) => {
    const scene = runs[run].scenes[index];
    chosen = `${run}:${index}`;
    if (show) {
      const air = Math.max(12, scene.end - scene.start);
      setRange(scene.start - air, scene.end + air);
      $("plots").scrollIntoView({ block: "start" });
    }
    mark();
    const line = [...$("rows").children].find((row) => row.dataset.key === chosen);
    if (line) $("table").scrollTop = line.offsetTop - $("table").clientHeight / 2;
    $("chosen").textContent = `scene ${index}: frames ${scene.start} to ${scene.end}, score ${fixed(scene.score, digits)}, target ${fixed(scene.target, digits)}, CRF ${fixed(scene.crf, 2)}, ${size(scene.bytes)}${scene.state ? `, ${scene.state}` : ""}`;
  };
  const table = () => {
    const head = used.map((column, index) => make("th", { scope: "col", "aria-sort": "none", ...(column.words ? { class: "words" } : {}) },
      make("button", { type: "button", text: column.name, ...(column.title ? { title: column.title } : {}), onclick: () => {
        order = { column: index, down: order.column === index ? !order.down : false };
        arrows();
        fill();
      } })));
    $("head").append(...head);
    const arrows = () => head.forEach((cell, index) => {
      const on = order.column === index;
      cell.setAttribute("aria-sort", on ? (order.down ? "descending" : "ascending") : "none");
      cell.firstChild.textContent = used[index].name + (on ? (order.down ? " ▼" : " ▲") : "");
    });
    arrows();
    for (const id of ["filter", "kind", "inside"]) $(id).addEventListener("input", fill);
    fill();
  };

  // ---- the page ----
  data.facts.forEach(([name, value]) => $("facts").append(make("dt", { text: name }), make("dd", { text: value })));
  $("theme").addEventListener("click", () => {
    theme(document.documentElement.getAttribute("data-theme") !== "dark");
    redraw();
  });
  prefers.addEventListener("change", () => { theme(prefers.matches); redraw(); });
  const everyPlot = () => [...plots, ...(plots.others ?? [])];
  const redraw = () => everyPlot().forEach((made) => made.redraw(false, true));
  addEventListener("resize", () => everyPlot().forEach((made) => {
    made.setSize({ width: made.root.parentElement.clientWidth, height: made.height });
  }));
  for (const [id, act] of [["in", () => zoom(0.5)], ["out", () => zoom(2)], ["earlier", () => move(-0.5)], ["later", () => move(0.5)], ["all", () => setRange(full.min, full.max)]]) {
    $(id).addEventListener("click", act);
  }
  sceneCharts();
  frameChart();
  histogram();
  pictures();
  table();
  setRange(full.min, full.max);
  // For tests and for whoever has the console open.
  window.report = { data, plots, setRange, select, range: () => range };
})();
