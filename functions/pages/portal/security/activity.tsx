import { timeText } from '../../kit/language.ts'
import { Listed } from '../listed.tsx'
import { t } from '../messages.ts'
import { client } from '../session.ts'

/** What was done to the account and by whom. */
export function Activity() {
  return (
    <section class="card">
      <h2>{t.security.activity}</h2>
      <Listed
        list={(cursor) => client.account.activity(cursor === undefined ? {} : { cursor })}
        empty={t.security.activityEmpty}
      >
        {(items) => (
          <ul class="list">
            {items.map(({ id, at, text, by, ip }) => (
              <li key={id}>
                <span class="grow">
                  {text}
                  <small>
                    {timeText(at)}
                    {ip && ` · ${ip}`}
                  </small>
                </span>
                <span class="tag">{t.security.by[by]}</span>
              </li>
            ))}
          </ul>
        )}
      </Listed>
    </section>
  )
}
