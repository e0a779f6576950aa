import { lists } from '../lists.ts'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { seen } from '../search.tsx'

/** Where an operator begins: what the box above finds, the accounts of this visit, and the lists. */
export default function Home() {
  return (
    <Page title={t.nav.home} lead={t.home.lead}>
      <div class="tiles">
        <section class="card">
          <h2>{t.home.finds}</h2>
          <dl class="facts">
            {t.home.queries.map(([what, example]) => [
              <dt key={what}>{what}</dt>,
              <dd key={example}>
                <code>{example}</code>
              </dd>,
            ])}
          </dl>
          <p class="hint">{t.home.keyHint}</p>
        </section>
        <section class="card">
          <h2>{t.home.lists}</h2>
          <ul class="list plain">
            {lists.map((list) => (
              <li key={list}>
                <a href={href('accounts', { list })}>{t.lists[list]}</a>
              </li>
            ))}
          </ul>
        </section>
        <section class="card">
          <h2>{t.home.seen}</h2>
          {seen.value.length === 0 ? (
            <p class="soft">{t.home.noneSeen}</p>
          ) : (
            <ul class="list">
              {seen.value.map(({ id, username, email }) => (
                <li key={id}>
                  <span class="grow">
                    <a href={href('account', { id })}>{username}</a>
                    <small>{email}</small>
                  </span>
                </li>
              ))}
            </ul>
          )}
        </section>
      </div>
    </Page>
  )
}
