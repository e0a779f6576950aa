import { timeText } from '../../kit/language.ts'
import { Listed } from '../listed.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { client } from '../session.ts'

export default function Notices() {
  return (
    <Page title={t.nav.notices} lead={t.notices.lead}>
      <section class="card">
        <Listed
          list={(cursor) => client.notices.list(cursor === undefined ? {} : { cursor })}
          empty={t.notices.empty}
        >
          {(notices) => (
            <ul class="list">
              {notices.map(({ _id, message, createdAt }) => (
                <li key={_id}>
                  <span class="grow">
                    {message}
                    <small>{timeText(createdAt)}</small>
                  </span>
                </li>
              ))}
            </ul>
          )}
        </Listed>
      </section>
    </Page>
  )
}
