import { csvOf, download } from './download.ts'
import { numberText, shortNumberText } from './language.ts'
import { Scroll } from './scroll.tsx'
import { words } from './words.ts'

export interface PlotProps {
  caption: string
  /** One group of bars each, such as a day: its name in the table and, where there is room, under the bars. */
  groups: readonly { name: string; short: string; values: readonly number[] }[]
  /** What is stacked in each bar, such as keys; the first is at the bottom. */
  series: readonly string[]
  /** The head of the first column. */
  of: string
  /** The name of the CSV file, without extension. */
  file?: string
}

const HEIGHT = 160
const BAR = 20
const GAP = 6

/** Bars as a drawing of a table: eyes get the bars, screen readers and copy and paste get the table. */
export function Plot({ caption, groups, series, of, file }: PlotProps) {
  const totals = groups.map(({ values }) => values.reduce((sum, value) => sum + value, 0))
  const top = niceCeiling(Math.max(0, ...totals))
  const width = groups.length * (BAR + GAP)
  const every = Math.ceil(groups.length / 8)
  const head = [of, ...series]
  const rows = groups.map(({ name, values }) => [name, ...values])
  return (
    <figure class="plot">
      <figcaption>{caption}</figcaption>
      <div class="drawing" aria-hidden="true">
        <div class="scale">
          <span>{shortNumberText(top)}</span>
          <span>{shortNumberText(top / 2)}</span>
          <span>0</span>
        </div>
        <svg viewBox={`0 0 ${width} ${HEIGHT}`} preserveAspectRatio="none">
          <title>{caption}</title>
          <line class="grid" x1="0" x2={width} y1="0.5" y2="0.5" />
          <line class="grid" x1="0" x2={width} y1={HEIGHT / 2} y2={HEIGHT / 2} />
          <line class="grid" x1="0" x2={width} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
          {groups.map(({ name, values }, at) =>
            stackOf(values, top).map(({ y, height }, index) => (
              <rect
                key={`${name} ${index}`}
                class={`s${index % 6}`}
                x={at * (BAR + GAP) + GAP / 2}
                width={BAR}
                y={y}
                height={height}
              />
            )),
          )}
        </svg>
        <div class="ticks">
          {groups.map(({ short, name }, at) => (at % every === 0 ? <span key={name}>{short}</span> : null))}
        </div>
      </div>
      {series.length > 1 && (
        <ul class="legend" aria-hidden="true">
          {series.map((name, index) => (
            <li key={name}>
              <i class={`s${index % 6}`} /> {name}
            </li>
          ))}
        </ul>
      )}
      <details>
        <summary>{words.asTable}</summary>
        <Scroll label={caption}>
          <table>
            <caption class="hidden">{caption}</caption>
            <thead>
              <tr>
                {head.map((text, at) => (
                  <th key={text} scope="col" class={at > 0 ? 'number' : undefined}>
                    {text}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {groups.map(({ name, values }) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  {values.map((value, at) => (
                    <td key={series[at]} class="number">
                      {numberText(value)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
        {file && (
          <button
            type="button"
            class="quiet"
            onClick={() => download(`${file}.csv`, 'text/csv', csvOf([head, ...rows]))}
          >
            {words.csv}
          </button>
        )}
      </details>
    </figure>
  )
}

/** The bars of one group, from the bottom up, in units of the drawing. */
function stackOf(values: readonly number[], top: number): { y: number; height: number }[] {
  let below = 0
  return values.map((value) => {
    const height = top === 0 ? 0 : (value / top) * HEIGHT
    below += height
    return { y: HEIGHT - below, height }
  })
}

/** The next 1, 2 or 5 times a power of ten: what an axis ends at. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5].find((step) => step * power >= value) ?? 10) * power
}
