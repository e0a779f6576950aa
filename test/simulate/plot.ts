const BARS = [...'▁▂▃▄▅▆▇█']

/** The highest value of each of `columns` equal spans. */
function spans(values: readonly number[], columns: number): number[] {
  const each = values.length / columns
  return Array.from({ length: Math.min(columns, values.length) }, (_, at) =>
    each <= 1
      ? (values[at] ?? 0)
      : Math.max(
          ...values.slice(
            Math.floor(at * each),
            Math.max(Math.floor((at + 1) * each), Math.floor(at * each) + 1),
          ),
        ),
  )
}

/** A line of bars for a terminal, whose highest bar is the highest value. */
export function sparkline(values: readonly number[], columns = 60): string {
  const highest = Math.max(...values, 0)
  return spans(values, columns)
    .map((value) => (highest === 0 ? BARS[0] : BARS[Math.min(7, Math.floor((value / highest) * 8))]))
    .join('')
}

export interface Chart {
  title: string
  unit: string
  values: readonly number[]
  /** A limit to be drawn as a line. */
  limit?: number | undefined
}

const [WIDTH, HEIGHT, LEFT, GAP] = [900, 120, 70, 46]

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function drawChart({ title, unit, values, limit }: Chart, top: number): string {
  const highest = Math.max(...values, 0)
  // A limit that is far away would flatten the curve.
  const shown = limit !== undefined && limit <= highest * 3 ? limit : undefined
  const scale = Math.max(highest, shown ?? 0) || 1
  const x = (at: number) => LEFT + (at / Math.max(1, values.length - 1)) * (WIDTH - LEFT - 10)
  const y = (value: number) => top + HEIGHT - (value / scale) * HEIGHT
  const line = values.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
  const label = limit === undefined ? '' : `, limit ${limit.toLocaleString('en')}`
  const text = `${title}: at most ${Math.round(highest).toLocaleString('en')} ${unit}${label}`
  return [
    `<text x="${LEFT}" y="${top - 8}">${escaped(text)}</text>`,
    `<line x1="${LEFT}" y1="${top + HEIGHT}" x2="${WIDTH - 10}" y2="${top + HEIGHT}" stroke="#999"/>`,
    ...(shown === undefined
      ? []
      : [
          `<line x1="${LEFT}" y1="${y(shown)}" x2="${WIDTH - 10}" y2="${y(shown)}" stroke="#c00" stroke-dasharray="6 4"/>`,
        ]),
    `<polyline fill="none" stroke="#0a5cff" points="${line}"/>`,
    `<text x="${LEFT - 6}" y="${top + 10}" text-anchor="end">${Math.round(scale).toLocaleString('en')}</text>`,
    `<text x="${LEFT - 6}" y="${top + HEIGHT}" text-anchor="end">0</text>`,
  ].join('\n')
}

/** Charts below each other, as a file. */
export function drawSvg(title: string, charts: readonly Chart[]): string {
  const height = 50 + charts.length * (HEIGHT + GAP)
  const drawn = charts.map((chart, at) => drawChart(chart, 60 + at * (HEIGHT + GAP)))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="24" font-size="16">${escaped(title)}</text>
${drawn.join('\n')}
</svg>
`
}
