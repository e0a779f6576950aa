/** A table in columns. @param rows texts by column; `undefined` is an empty cell */
export function table(titles: readonly string[], rows: readonly (readonly (string | undefined)[])[]): string {
  const all = [titles, ...rows]
  const widths = titles.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)))
  return all
    .map((row) =>
      row
        .map((cell = '', at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Facts under each other, each with its name. Facts without a value are left out. */
export function facts(named: Readonly<Record<string, string | number | undefined>>): string {
  const shown = Object.entries(named).filter(([, value]) => value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

/** A time as people read it, to the minute, in UTC. @param time ISO 8601, or epoch ms */
export const timeText = (time: string | number): string =>
  new Date(time).toISOString().slice(0, 16).replace('T', ' ')
