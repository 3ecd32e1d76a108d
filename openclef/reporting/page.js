/* Draws the figures from the page's packed JSON, in the theme's colours, and redraws them when the theme changes. */
(async () => {
  "use strict";
  if (!window.DecompressionStream) {
    const said = document.createElement("p");
    said.className = "missing";
    said.textContent = "The figures need a browser of 2023 or later; the tables and ECG strips stand without them.";
    document.querySelector("main").prepend(said);
    return;
  }
  // plotly and the figures are gzip in letters of base64
  const unpacked = (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  const figures = JSON.parse(await unpacked("figures"));
  const library = document.createElement("script");
  library.textContent = await unpacked("plotly");
  document.head.append(library);

  const root = document.documentElement;
  const config = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
  const plots = [];

  const colour = (name) => {
    const [token, alpha] = name.slice(1).split("/");
    const value = getComputedStyle(root).getPropertyValue("--" + token).trim();
    if (!alpha) return value;
    const part = (at) => parseInt(value.slice(at, at + 2), 16);
    return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
  };

  // Text from files is never a colour: names that start with "@" are looked up under colour keys only.
  const painted = (value, key) => {
    if (typeof value === "string") return /color/i.test(key || "") && value[0] === "@" ? colour(value) : value;
    if (Array.isArray(value)) return value.map((each) => painted(each, key));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, painted(each, name)]));
    }
    return value;
  };

  const layered = (under, over) => {
    const out = { ...under };
    for (const [name, value] of Object.entries(over || {})) {
      const both = value && typeof value === "object" && !Array.isArray(value) && typeof out[name] === "object";
      out[name] = both ? layered(out[name], value) : value;
    }
    return out;
  };

  const axis = {
    automargin: true, gridcolor: "@grid", linecolor: "@muted", zerolinecolor: "@line", tickcolor: "@muted",
    showline: false, ticks: "", title: { standoff: 8, font: { size: 12, color: "@soft" } },
    tickfont: { size: 11.5, color: "@soft" }, fixedrange: true,
  };
  const basic = () => ({
    autosize: true, showlegend: false, dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "@ink" },
    margin: { l: 8, r: 10, t: 8, b: 8 }, xaxis: axis, yaxis: axis,
    hoverlabel: { bgcolor: "@panel", bordercolor: "@muted", font: { color: "@ink", size: 12 } },
  });

  // Of models that are picked in a legend the others fall back: grey, and drawn first.
  const fallenBack = (value, key) => {
    if (typeof value === "string" && value[0] === "@" && /color/i.test(key || "")) {
      return key === "fillcolor" ? "rgba(0,0,0,0)" : value === "@panel" ? value : "@line";
    }
    if (Array.isArray(value)) return value;
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, fallenBack(each, name)]));
    }
    return value;
  };
  const picked = (data, box) => {
    const names = box.closest(".models")?.picked;
    if (!names?.size) return data;
    const behind = (trace) => Boolean(trace.name) && !names.has(trace.name);
    return [...data.filter(behind).map((trace) => fallenBack(trace)), ...data.filter((trace) => !behind(trace))];
  };

  const folded = (box) => box.closest("details:not([open])") !== null;

  // What is folded has no width to be drawn in: it is drawn when it is opened.
  const draw = (plot) => {
    plot.stale = folded(plot.box);
    if (plot.stale) return null;
    plot.drawn = true;
    const { data, layout } = plot.make();
    return Plotly.react(plot.box, painted(picked(data, plot.box)), painted(layered(basic(), layout)), config);
  };
  document.querySelectorAll("details").forEach((box) => {
    box.addEventListener("toggle", () => {
      if (box.open) plots.filter((plot) => plot.stale && box.contains(plot.box)).forEach(draw);
    });
  });

  // ---- maps: their colours come from a menu
  const classColours = ["series-0", "series-1", "series-2", "series-3", "series-4", "series-6", "muted"];
  const shade = (kind) => (place) => {
    if (kind.classes.length === 2) return place ? "series-1" : "series-0";
    return classColours[Math.min(place, classColours.length - 1)];
  };

  const mapTraces = (positions, kind) => {
    const side = { type: "scatter", mode: "markers", hoverinfo: "text" };
    const chosen = (test) => kind.values.map((value, i) => (test(value) ? i : -1)).filter((i) => i >= 0);
    const at = (rows) => ({ x: rows.map((i) => positions[i][0]), y: rows.map((i) => positions[i][1]) });
    const unknown = chosen((value) => value === null);
    const traces = [];
    if (unknown.length) {
      traces.push({ ...side, ...at(unknown), hovertext: "unknown", marker: { size: 5, color: "@muted/0.35" } });
    }
    if (kind.kind === "scale") {
      const rows = chosen((value) => value !== null);
      traces.push({
        ...side, ...at(rows), hovertext: rows.map((i) => `${escapeText(kind.name)}: ${kind.values[i]}`),
        marker: {
          size: 6, color: rows.map((i) => kind.values[i]), cmin: kind.low, cmax: kind.high,
          colorscale: [[0, "@scale-0"], [0.5, "@scale-1"], [1, "@scale-2"]],
        },
      });
      return traces;
    }
    const symbols = ["circle", "diamond", "square", "triangle-up", "cross", "x", "circle"];
    kind.classes.forEach((name, place) => {
      const rows = chosen((value) => value === place);
      const alone = kind.classes.length === 2 && place === 0;
      traces.push({
        ...side, ...at(rows), hovertext: escapeText(name),
        marker: {
          size: alone ? 5 : 7, symbol: symbols[Math.min(place, 6)],
          color: `@${shade(kind)(place)}/${alone ? 0.45 : 0.95}`,
        },
      });
    });
    return traces;
  };
  const escapeText = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  const put = (parent, name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };
  const short = (value) => Number(value.toPrecision(3)).toString();

  const showKey = (box, kind) => {
    box.replaceChildren();
    const list = put(box, "ul", "key");
    const entry = (text, token, shape) => {
      const item = put(list, "li");
      put(item, "span", "swatch " + shape).style.setProperty("--swatch", `var(--${token})`);
      item.append(text);
    };
    if (kind.kind === "scale") {
      const item = put(list, "li");
      item.append(`${kind.name}: ${short(kind.low)}`);
      put(item, "span", "ramp");
      item.append(short(kind.high));
    } else {
      kind.classes.forEach((name, place) => {
        const count = kind.values.filter((value) => value === place).length;
        entry(`${name} (${count})`, shade(kind)(place), "point");
      });
    }
    const unknown = kind.values.filter((value) => value === null).length;
    if (unknown) entry(`unknown (${unknown})`, "muted", "point");
  };

  document.querySelectorAll(".maps").forEach((box) => {
    const kinds = JSON.parse(box.querySelector(".colourings").textContent);
    const menu = box.querySelector("select");
    const maps = [...box.querySelectorAll(".plot[data-positions]")].map((plot) => {
      const positions = plot.dataset.positions.split(";").map((pair) => pair.split(",").map(Number));
      const bare = { showgrid: false, showticklabels: false, zeroline: false, showline: true, mirror: true, linecolor: "@line" };
      const layout = {
        hovermode: "closest", margin: { l: 2, r: 2, t: 2, b: 2 },
        xaxis: { ...bare, range: [-1080, 1080], constrain: "domain" },
        yaxis: { ...bare, range: [-1080, 1080], scaleanchor: "x" },
      };
      return { box: plot, make: () => ({ data: kinds.length ? mapTraces(positions, kinds[menu.value]) : [], layout }) };
    });
    plots.push(...maps);
    const choose = () => {
      if (!kinds.length) return;
      showKey(box.querySelector(".map-key"), kinds[menu.value]);
      maps.forEach((map, i) => {
        map.box.parentElement.querySelector("figcaption").textContent = kinds[menu.value].readings[i];
      });
    };
    menu.addEventListener("change", () => { choose(); maps.forEach(draw); });
    choose();
  });

  document.querySelectorAll(".plot:not([data-positions])").forEach((box) => {
    const spec = figures[Number(box.querySelector("script").textContent)];
    plots.push({ box, make: () => spec });
  });

  // ---- legends of models
  document.querySelectorAll(".models").forEach((box) => {
    box.picked = new Set();
    box.querySelectorAll(".pick").forEach((button) => {
      if (button.closest(".models") !== box) return;
      button.addEventListener("click", () => {
        const name = button.dataset.name;
        if (!box.picked.delete(name)) box.picked.add(name);
        button.setAttribute("aria-pressed", String(box.picked.has(name)));
        plots.filter((plot) => plot.drawn && plot.box.closest(".models") === box).forEach(draw);
      });
    });
  });

  // ---- theme
  const button = document.getElementById("theme");
  let chosen = false;
  const nameTheme = (theme) => {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light theme" : "Dark theme";
  };
  const setTheme = (theme) => {
    nameTheme(theme);
    return Promise.all(plots.map(draw));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = true;
    setTheme(root.dataset.theme === "dark" ? "light" : "dark");
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    if (!chosen) setTheme(event.matches ? "dark" : "light");
  });

  // ---- print: light, and as wide as the paper's columns
  let before = null;
  addEventListener("beforeprint", () => {
    if (before) return;
    before = root.dataset.theme;
    setTheme("light");
    plots.filter((plot) => plot.drawn).forEach(({ box }) => {
      Plotly.relayout(box, { autosize: false, width: box.closest(".grid") ? 320 : 640 });
    });
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    plots.filter((plot) => plot.drawn).forEach(({ box }) => Plotly.relayout(box, { autosize: true, width: null }));
    setTheme(before);
    before = null;
  });

  // The first time one after the other, so that the page answers meanwhile.
  const drawAll = async () => {
    for (const plot of plots) {
      if (!plot.drawn) await draw(plot);
      await new Promise((done) => setTimeout(done));
    }
    document.body.dataset.drawn = String(plots.filter((plot) => plot.drawn).length);
  };
  nameTheme(root.dataset.theme);
  drawAll();
})();
