import { useState } from 'preact/hooks'
import { useRoute } from 'preact-iso'
import { dayText, moneyText, numberText, shortDayText } from '../../kit/language.ts'
import { Plot } from '../../kit/plot.tsx'
import { Load, useResource } from '../../kit/resource.tsx'
import { type Answer, call } from '../api.ts'
import { t } from '../messages.ts'
import { centsText, majorOf } from '../money.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { Table } from '../table.tsx'

type Day = Answer<'totals'>['days'][number]

const RANGES = [7, 30, 90, 365] as const

/** The first of the last `count` days in UTC, today included. */
const firstDay = (count: number): string =>
  new Date(Date.now() - (count - 1) * 86_400_000).toISOString().slice(0, 10)

const totalOf = (days: readonly Day[], value: (day: Day) => number) =>
  days.reduce((sum, day) => sum + value(day), 0)

export default function Totals() {
  const { query } = useRoute()
  const range = RANGES.find((count) => String(count) === query.days) ?? 30
  const days = useResource(async () => (await call('totals', { from: firstDay(range) })).days, [range])
  return (
    <Page title={t.nav.totals} lead={t.totals.lead}>
      <nav aria-label={t.totals.range} class="chips">
        {RANGES.map((count) => (
          <a
            key={count}
            href={href('totals', { days: String(count) })}
            aria-current={count === range ? 'page' : undefined}
          >
            {t.totals.lastDays(count)}
          </a>
        ))}
      </nav>
      <Load of={days} empty={{ when: (list) => list.length === 0, text: t.totals.empty }}>
        {(list) => <Plots days={list} />}
      </Load>
      <Top />
    </Page>
  )
}

function Plots({ days }: { days: readonly Day[] }) {
  const p = t.totals
  const currencies = (of: (day: Day) => Record<string, number>) => [
    ...new Set(days.flatMap((day) => Object.keys(of(day)))),
  ]
  const count = (
    caption: string,
    file: string,
    series: readonly [name: string, value: (day: Day) => number][],
  ) => <Figure key={file} days={days} caption={caption} file={file} series={series} sums={numberText} />
  const money = (caption: string, file: string, of: (day: Day) => Record<string, number>) =>
    currencies(of).map((currency) => (
      <Figure
        key={`${file} ${currency}`}
        days={days}
        caption={`${caption} (${currency})`}
        file={`${file}-${currency.toLowerCase()}`}
        series={[[currency, (day) => majorOf(of(day)[currency] ?? 0, currency)]]}
        sums={(sum) => moneyText(sum, currency)}
      />
    ))
  return (
    <div class="plots">
      {count(p.accounts, 'registrations', [[p.accounts, (day) => day.accounts]])}
      {count(p.confirmed, 'confirmed', [[p.confirmed, (day) => day.confirmed]])}
      {count(p.paying, 'paying', [[p.paying, (day) => day.paying]])}
      {count(p.purchases, 'purchases', [[p.purchases, (day) => day.purchases]])}
      {money(p.revenue, 'revenue', (day) => day.revenueCents)}
      {count(p.unitsSold, 'units-sold', [[p.unitsSold, (day) => day.unitsSold]])}
      {count(p.unitsUsed, 'units-used', [[p.unitsUsed, (day) => day.unitsUsed]])}
      {count(p.unitsGiven, 'units-given', [[p.unitsGiven, (day) => day.unitsGiven]])}
      {count(p.unitsBack, 'units-back', [
        [p.unitsTaken, (day) => day.unitsTaken],
        [p.unitsExpired, (day) => day.unitsExpired],
      ])}
      {count(p.reversals, 'refunds', [
        [p.refunds, (day) => day.refunds],
        [p.disputes, (day) => day.disputes],
      ])}
      {money(p.refunded, 'refunded', (day) => day.refundedCents)}
      {money(p.disputed, 'disputed', (day) => day.disputedCents)}
    </div>
  )
}

interface FigureProps {
  days: readonly Day[]
  caption: string
  file: string
  series: readonly [name: string, value: (day: Day) => number][]
  /** The sum as text. */
  sums(sum: number): string
}

function Figure({ days, caption, file, series, sums }: FigureProps) {
  return (
    <div class="card">
      <p class="big">{sums(series.reduce((sum, [, value]) => sum + totalOf(days, value), 0))}</p>
      <Plot
        caption={caption}
        of={t.totals.day}
        file={file}
        series={series.map(([name]) => name)}
        groups={days.map((day) => ({
          name: dayText(day.day),
          short: shortDayText(day.day),
          values: series.map(([, value]) => value(day)),
        }))}
      />
    </div>
  )
}

const BY = ['used', 'paid', 'refused'] as const

/** Who has most of something in a month. */
function Top() {
  const [by, setBy] = useState<(typeof BY)[number]>('used')
  const [month, setMonth] = useState(() => new Date().toISOString().slice(0, 7))
  const top = useResource(() => call('top', { by, month }), [by, month])
  const months = Array.from({ length: 12 }, (_, ago) => {
    const now = new Date()
    return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - ago, 1)).toISOString().slice(0, 7)
  })
  return (
    <section class="card" aria-label={t.totals.top}>
      <header>
        <h2>{t.totals.top}</h2>
        <div class="verbs">
          <label>
            <span class="hidden">{t.totals.by}</span>
            <select onChange={({ currentTarget }) => setBy(currentTarget.value as typeof by)}>
              {BY.map((each) => (
                <option key={each} value={each} selected={each === by}>
                  {t.totals.bys[each]}
                </option>
              ))}
            </select>
          </label>
          <label>
            <span class="hidden">{t.totals.month}</span>
            <select onChange={({ currentTarget }) => setMonth(currentTarget.value)}>
              {months.map((each) => (
                <option key={each} value={each} selected={each === month}>
                  {each}
                </option>
              ))}
            </select>
          </label>
        </div>
      </header>
      <Load of={top} empty={{ when: ({ accounts }) => accounts.length === 0, text: t.totals.noTop }}>
        {({ accounts, currency }) => (
          <Table
            caption={t.totals.top}
            items={accounts}
            keyOf={({ id }) => id}
            columns={[
              {
                head: t.accounts.account,
                cell: ({ id, username }) => <a href={href('account', { id })}>{username}</a>,
              },
              {
                head: t.totals.bys[by],
                number: true,
                cell: ({ value }) => (currency === null ? numberText(value) : centsText(value, currency)),
              },
            ]}
          />
        )}
      </Load>
    </section>
  )
}
