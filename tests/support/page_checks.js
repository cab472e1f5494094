// What can be checked of a page by looking at it as it stands in a browser. Each function gives a list of sentences, empty where all is well.
// Loaded by browser.py; the section numbers are those of WCAG 2.2.
(() => {
  const told = (element) => {
    const words = (element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
    const name = element.tagName.toLowerCase() + (element.id ? `#${element.id}` : "");
    return words ? `<${name}> "${words}"` : `<${name}>`;
  };
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  // Colours are drawn on one pixel, so that every notation that CSS has is read by the browser itself.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((value, at) => value * top[3] + below[at] * (1 - top[3]));
  // What lies under everything: white, or black on a dark screen where the page says that it suits one.
  const floor = () => {
    const probe = document.createElement("div");
    probe.style.backgroundColor = "Canvas";
    document.documentElement.append(probe);
    const colour = rgba(getComputedStyle(probe).backgroundColor);
    probe.remove();
    return colour.slice(0, 3);
  };
  const chain = (element) => {
    const found = [];
    for (let each = element; each; each = each.parentElement) found.unshift(each);
    return found;
  };
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  // 1.4.3 Contrast: the same bound for large text, which would need only 3.
  const contrast = (least) => {
    const found = new Set();
    const base = floor();
    const judge = (element, style) => {
      let background = base;
      let opacity = 1;
      for (const each of chain(element)) {
        const own = getComputedStyle(each);
        if (own.backgroundImage !== "none") found.add(`${told(each)} has a picture behind its text: its contrast cannot be computed`);
        opacity *= Number(own.opacity);
        background = over(rgba(own.backgroundColor), background);
      }
      const colour = rgba(style.color);
      const ink = over([...colour.slice(0, 3), colour[3] * opacity], background);
      const value = ratio(ink, background);
      if (value < least) found.add(`${told(element)} has the contrast ${value.toFixed(2)}, ${least} is the least`);
    };
    for (const element of document.body.querySelectorAll("*")) {
      if (!shown(element)) continue;
      if ([...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())) judge(element, getComputedStyle(element));
      for (const pseudo of ["::before", "::after"]) {
        const style = getComputedStyle(element, pseudo);
        if (!["none", "normal", '""'].includes(style.content)) judge(element, style);
      }
    }
    return [...found];
  };

  const named = (element) => {
    const by = (element.getAttribute("aria-labelledby") || "").split(/\s+/).map((id) => document.getElementById(id)?.textContent || "");
    return [element.getAttribute("aria-label"), ...by, ...[...(element.labels || [])].map((label) => label.textContent), element.title]
      .some((text) => text && text.trim());
  };
  const structure = () => {
    const found = [];
    const want = (holds, sentence) => holds || found.push(sentence);
    want(document.documentElement.lang.trim(), "3.1.1: <html> says no language");
    want(document.title.trim(), "2.4.2: the page has no title");
    want(document.querySelectorAll("main").length === 1, "1.3.1: there is not exactly one <main>");
    const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(shown);
    const levels = headings.map((each) => Number(each.tagName[1]));
    want(levels.filter((level) => level === 1).length === 1, `1.3.1: there are ${levels.filter((level) => level === 1).length} <h1>`);
    want(!levels.length || levels[0] === 1, "1.3.1: the first heading is no <h1>");
    levels.forEach((level, at) => want(at === 0 || level <= levels[at - 1] + 1, `1.3.1: ${told(headings[at])} leaves out a level`));
    headings.forEach((each) => want(each.textContent.trim(), `2.4.6: an empty <${each.tagName.toLowerCase()}>`));
    for (const table of document.querySelectorAll("table")) {
      want(table.caption?.textContent.trim() || named(table), `1.3.1: ${told(table)} has no caption`);
      want(table.querySelector("thead th"), `1.3.1: ${told(table)} has no heads of columns`);
      for (const head of table.querySelectorAll("th")) want(["col", "row", "colgroup", "rowgroup"].includes(head.scope), `1.3.1: ${told(head)} has no scope`);
      for (const head of table.querySelectorAll("thead th")) want(head.textContent.trim(), `1.3.1: ${told(table)} has an empty head`);
      for (const row of table.querySelectorAll("tbody tr")) {
        const cells = [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0);
        const heads = [...(table.tHead?.rows[0]?.cells || [])].reduce((sum, cell) => sum + cell.colSpan, 0);
        want(cells === heads, `1.3.1: ${told(row)} has ${cells} cells under ${heads} heads`);
      }
    }
    for (const picture of document.querySelectorAll("img")) want(picture.hasAttribute("alt"), `1.1.1: ${told(picture)} has no alt`);
    for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) want(named(field), `4.1.2: ${told(field)} has no label`);
    for (const button of document.querySelectorAll("button, a[href]")) {
      want(named(button) || button.textContent.trim() || button.querySelector("img[alt]:not([alt=''])"), `4.1.2: ${told(button)} has no name`);
    }
    for (const each of document.querySelectorAll("[tabindex]")) want(each.tabIndex <= 0, `2.4.3: ${told(each)} changes the order of focus`);
    const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
    for (const id of new Set(ids)) want(ids.filter((each) => each === id).length === 1, `4.1.2: the id "${id}" is there twice`);
    return found;
  };

  // 1.4.10 Reflow: nothing reaches out of the page sideways; a table may scroll in a region of its own that the keyboard reaches (2.1.1).
  const overflow = (scrollable) => {
    const found = [];
    const width = document.documentElement.clientWidth;
    const inRegion = (element) => chain(element).some((each) => each !== document.documentElement && each !== document.body &&
      ["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(each).overflowX));
    if (document.documentElement.scrollWidth > width) found.push(`the page is ${document.documentElement.scrollWidth} px wide in ${width}`);
    for (const element of document.body.querySelectorAll("*")) {
      if (!shown(element)) continue;
      const right = element.getBoundingClientRect().right;
      if (right > width + 1 && !inRegion(element.parentElement)) found.push(`${told(element)} reaches to ${Math.round(right)} px of ${width}`);
      for (const node of element.childNodes) {
        if (node.nodeType !== Node.TEXT_NODE || !node.data.trim()) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const end = range.getBoundingClientRect().right;
        if (end > width + 1 && !inRegion(element)) found.push(`the text of ${told(element)} reaches to ${Math.round(end)} px of ${width}`);
      }
      const { overflowX, clip, clipPath } = getComputedStyle(element);
      const hiddenOnPurpose = clip !== "auto" || clipPath !== "none";
      if (["auto", "scroll", "hidden", "clip"].includes(overflowX) && element.scrollWidth > element.clientWidth + 1 && !hiddenOnPurpose) {
        if (!scrollable || ["hidden", "clip"].includes(overflowX)) found.push(`${told(element)} is cut at its side`);
        else if (element.tabIndex < 0 || !named(element)) found.push(`2.1.1: ${told(element)} scrolls, and has no name or no place in the order of focus`);
      }
    }
    return found;
  };

  return { contrast, structure, overflow };
})()
