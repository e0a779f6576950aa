import type { Endpoints } from 'bursar/client'
import { csvOf, download } from '../../kit/download.ts'
import { moneyText, numberText, timeText } from '../../kit/language.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { Scroll } from '../../kit/scroll.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { client } from '../session.ts'

type Entry = Endpoints['ledger.list']['answer'][number]

/** Every entry with the sums up to it, so that whoever doubts the balance can add it up. */
export default function Statement() {
  const ledger = useResource(async () => {
    const entries: Entry[] = []
    for await (const entry of client.ledger.list()) entries.push(entry)
    return summed(entries)
  })
  return (
    <Page title={t.nav.statement} lead={t.statement.lead}>
      <section class="card">
        <Load of={ledger} empty={{ when: (lines) => lines.length === 0, text: t.statement.empty }}>
          {(lines) => (
            <>
              <Scroll label={t.nav.statement}>
                <table>
                  <thead>
                    <tr>
                      <th scope="col">{t.statement.when}</th>
                      <th scope="col">{t.statement.what}</th>
                      <th scope="col" class="number">
                        {t.usage.units}
                      </th>
                      <th scope="col" class="number">
                        {t.statement.unitsSum}
                      </th>
                      <th scope="col" class="number">
                        {t.invoices.amount}
                      </th>
                      <th scope="col" class="number">
                        {t.statement.balance}
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {lines.map(({ entry, units, balance }) => (
                      <tr key={entry.seq}>
                        <th scope="row">{timeText(entry.at)}</th>
                        <td>
                          {entry.purchaseId ? (
                            <a href={href('purchase', entry.purchaseId)}>{t.statement.kinds[entry.kind]}</a>
                          ) : (
                            t.statement.kinds[entry.kind]
                          )}
                        </td>
                        <td class="number">{numberText(entry.units)}</td>
                        <td class="number">{numberText(units)}</td>
                        <td class="number">{moneyText(entry.amount, entry.currency)}</td>
                        <td class="number">{moneyText(balance, entry.currency)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </Scroll>
              <div class="actions">
                <button
                  type="button"
                  class="quiet"
                  onClick={() =>
                    download(
                      'statement.csv',
                      'text/csv',
                      csvOf([
                        ['seq', 'at', 'kind', 'units', 'unitsSum', 'amount', 'balance', 'currency'],
                        ...lines.map(({ entry, units, balance }) => [
                          entry.seq,
                          entry.at,
                          entry.kind,
                          entry.units,
                          units,
                          entry.amount,
                          balance,
                          entry.currency,
                        ]),
                      ]),
                    )
                  }
                >
                  {t.words.csv}
                </button>
              </div>
            </>
          )}
        </Load>
      </section>
    </Page>
  )
}

/** Sums in cents, because sums of fractions drift. */
function summed(entries: readonly Entry[]) {
  let units = 0
  let cents = 0
  return entries.map((entry) => {
    units += entry.units
    cents += Math.round(entry.amount * 100)
    return { entry, units, balance: cents / 100 }
  })
}
