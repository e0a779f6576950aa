import { dayText, moneyText } from '../../kit/language.ts'
import { Scroll } from '../../kit/scroll.tsx'
import { Listed } from '../listed.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { client } from '../session.ts'

export default function Invoices() {
  return (
    <Page title={t.nav.invoices} lead={t.invoices.lead}>
      <section class="card">
        <Listed
          list={(cursor) => client.invoices.list(cursor === undefined ? {} : { cursor })}
          empty={t.invoices.empty}
        >
          {(invoices) => (
            <Scroll label={t.nav.invoices}>
              <table>
                <thead>
                  <tr>
                    <th scope="col">{t.invoices.day}</th>
                    <th scope="col">{t.invoices.status}</th>
                    <th scope="col" class="number">
                      {t.invoices.amount}
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {invoices.map(({ id, amount, currency, state, paidOn }) => (
                    <tr key={id}>
                      <th scope="row">
                        <a href={href('invoice', id)}>{dayText(paidOn)}</a>
                      </th>
                      <td>{t.invoices.states[state]}</td>
                      <td class="number">{moneyText(amount, currency)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          )}
        </Listed>
      </section>
    </Page>
  )
}
