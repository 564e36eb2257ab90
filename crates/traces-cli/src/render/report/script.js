/* Sorts a table by the column whose heading is pressed, what is unknown last; copies advice. */
const units = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, k: 1e3, M: 1e6, G: 1e9, ms: 1, s: 1e3, m: 6e4, h: 36e5 };
const value = (text) => {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?) ?([a-zA-Z]*)/g)];
  if (parts.length === 0) return null;
  return parts.reduce((sum, [, number, unit]) => sum + number * (units[unit] ?? 1), 0);
};
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = Number(table.className.split("-")[1]);
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    const text = (row) => row.cells[at].textContent;
    const compare = (a, b, sign) => {
      if (at === 0) return sign * (rows.indexOf(a) - rows.indexOf(b));
      if (at < texts) return sign * text(a).localeCompare(text(b));
      const [x, y] = [value(text(a)), value(text(b))];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x - y);
    };
    button.addEventListener("click", () => {
      const up = heading.ariaSort !== "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...[...body.rows].sort((a, b) => compare(a, b, up ? 1 : -1)));
    });
  });
}
for (const advice of document.querySelectorAll("[data-copy]")) {
  const words = advice.innerText;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(words);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(advice);
      button.textContent = "Selected: copy it now";
    }
  });
  advice.append(button);
}
