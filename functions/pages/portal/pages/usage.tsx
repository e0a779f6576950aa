import { useState } from 'preact/hooks'
import { Field } from '../../kit/form.tsx'
import { dayText, numberText, shortDayText } from '../../kit/language.ts'
import { Plot } from '../../kit/plot.tsx'
import { Load, useResource } from '../../kit/resource.tsx'
import { lastDays } from '../days.ts'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { client } from '../session.ts'

const RANGES = [7, 30, 90]
/** As many series as there are colours; the least used ones share the last. */
const MOST_SERIES = 6

export default function Usage() {
  const [range, setRange] = useState(30)
  const [by, setBy] = useState<'key' | 'tag'>('key')
  const usage = useResource(() => client.usage.get({ from: lastDays(range)[0] ?? '' }), [range])
  const keys = useResource(() => client.keys.list())
  const nameOf = (id: string | null) =>
    (id === null ? t.usage.deletedKeys : keys.value?.find((key) => key.id === id)?.name) ??
    t.usage.deletedKeys
  return (
    <Page title={t.nav.usage} lead={t.usage.lead}>
      <section class="card">
        <div class="pair">
          <div onChange={(event) => setRange(Number((event.target as HTMLSelectElement).value))}>
            <Field
              name="range"
              type="select"
              label={t.usage.range}
              value={String(range)}
              options={RANGES.map((days) => ({ value: String(days), label: t.usage.lastDays(days) }))}
            />
          </div>
          <div onChange={(event) => setBy((event.target as HTMLSelectElement).value as 'key' | 'tag')}>
            <Field
              name="by"
              type="select"
              label={t.usage.by}
              value={by}
              options={[
                { value: 'key', label: t.usage.byKey },
                { value: 'tag', label: t.usage.byTag },
              ]}
            />
          </div>
        </div>
        <Load of={usage} empty={{ when: ({ days }) => days.length === 0, text: t.usage.empty }}>
          {({ days, allusage }) => {
            const uses = days.flatMap((day) =>
              day.keys.flatMap((key) =>
                by === 'key'
                  ? [{ day: day.day, name: nameOf(key.id), units: key.units }]
                  : (key.tags ?? [{ tag: null, units: key.units }]).map((tag) => ({
                      day: day.day,
                      name: tag.tag ?? t.usage.noTag,
                      units: tag.units,
                    })),
              ),
            )
            return (
              <>
                <p class="big">
                  {numberText(days.reduce((sum, { units }) => sum + units, 0))}{' '}
                  <small>{t.usage.ofAll(range, allusage)}</small>
                </p>
                <Plot
                  caption={by === 'key' ? t.usage.captionKey : t.usage.captionTag}
                  of={t.usage.day}
                  file="usage"
                  {...stacked(uses, lastDays(range))}
                />
              </>
            )
          }}
        </Load>
      </section>
    </Page>
  )
}

/** Groups by day and series by name, the most used first. */
function stacked(uses: readonly { day: string; name: string; units: number }[], days: readonly string[]) {
  const totals = new Map<string, number>()
  for (const { name, units } of uses) totals.set(name, (totals.get(name) ?? 0) + units)
  const names = [...totals].sort(([, a], [, b]) => b - a).map(([name]) => name)
  const few = names.length > MOST_SERIES ? [...names.slice(0, MOST_SERIES - 1), t.usage.others] : names
  const at = (name: string) => Math.min(names.indexOf(name), few.length - 1)
  const groups = days.map((day) => {
    const values = few.map(() => 0)
    for (const use of uses)
      if (use.day === day) values[at(use.name)] = (values[at(use.name)] ?? 0) + use.units
    return { name: dayText(day), short: shortDayText(day), values }
  })
  return { series: few, groups }
}
