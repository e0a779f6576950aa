import type { ComponentChildren } from 'preact'
import { ActionButton } from '../../kit/form.tsx'
import { agoText, dayText, numberText, shortDayText } from '../../kit/language.ts'
import { Plot } from '../../kit/plot.tsx'
import { Load, useResource } from '../../kit/resource.tsx'
import type { Config } from '../config.ts'
import { type User, useAccount, useConfig } from '../context.tsx'
import { lastDays } from '../days.ts'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { RenewalSentence } from '../renewal-sentence.tsx'
import { client } from '../session.ts'

const DAYS = 14

export default function Overview() {
  const account = useAccount()
  const config = useConfig()
  const standing = useResource(async () => {
    const [user, cards] = await Promise.all([client.users.getCurrent(), client.cards.list()])
    return { user, cards: cards.data }
  })
  const usage = useResource(() => client.usage.get({ from: lastDays(DAYS)[0] ?? '' }))
  const notices = useResource(async () => (await client.notices.list({ limit: '3' }).page()).items)
  return (
    <Page title={t.nav.overview}>
      <Load of={account}>
        {(user) => (
          <>
            <Load of={standing}>
              {({ user: emcp, cards }) => (
                <ToDo user={user} balance={emcp.balance} hasCard={cards.length > 0} />
              )}
            </Load>
            <div class="tiles">
              <Units user={user} config={config} />
              <section class="card">
                <h2>{t.nav.renewal}</h2>
                <RenewalSentence user={user} />
                <p>
                  <a href={href('renewal')}>{t.overview.renewalSettings}</a>
                </p>
              </section>
            </div>
          </>
        )}
      </Load>
      <section class="card">
        <h2>{t.overview.usageTitle}</h2>
        <Load of={usage} empty={{ when: ({ days }) => days.length === 0, text: t.overview.unused }}>
          {({ days }) => (
            <Plot
              caption={t.overview.used(DAYS)}
              of={t.usage.day}
              series={[t.usage.units]}
              groups={lastDays(DAYS).map((day) => ({
                name: dayText(day),
                short: shortDayText(day),
                values: [days.find((one) => one.day === day)?.units ?? 0],
              }))}
            />
          )}
        </Load>
        <p>
          <a href={href('usage')}>{t.overview.moreUsage}</a>
        </p>
      </section>
      <section class="card">
        <h2>{t.nav.notices}</h2>
        <Load of={notices} empty={{ when: (items) => items.length === 0, text: t.notices.empty }}>
          {(items) => (
            <>
              <ul class="list">
                {items.map(({ _id, message, createdAt }) => (
                  <li key={_id}>
                    <span class="grow">{message}</span>
                    <small>{agoText(createdAt)}</small>
                  </li>
                ))}
              </ul>
              <p>
                <a href={href('notices')}>{t.overview.moreNotices}</a>
              </p>
            </>
          )}
        </Load>
      </section>
    </Page>
  )
}

/** Units left as a bar of the bundle, with the alerts' thresholds as marks. */
function Units({ user, config }: { user: User; config: Config }) {
  const { left, reserved, used } = user.usage
  const offer = config.bundles.find(({ name }) => name === user.bundle?.name)
  const full = Math.max(left, offer?.units ?? config.trialUnits, 1)
  const marks = user.alerts
    .map(({ below }) =>
      typeof below === 'number' ? below : (Number.parseFloat(below) / 100) * (offer?.units ?? full),
    )
    .filter((mark) => mark > 0 && mark < full)
  const state = left === 0 ? 'none' : left < full / 10 ? 'low' : 'well'
  return (
    <section class="card">
      <h2>{user.bundle ? t.overview.leftOf(user.bundle.name) : t.overview.left}</h2>
      <p class="big">
        {numberText(left)} <small>{t.overview.unitsLeft}</small>
      </p>
      <svg
        class={`meter ${state}`}
        viewBox="0 0 100 1"
        preserveAspectRatio="none"
        role="img"
        aria-label={t.overview.meter(left, full)}
      >
        <rect class="left" x="0" y="0" height="1" width={(left / full) * 100} />
        {marks.map((mark) => (
          <line key={mark} x1={(mark / full) * 100} x2={(mark / full) * 100} y1="0" y2="1" />
        ))}
      </svg>
      <p class="soft">
        {t.overview.usedInAll(used)}
        {reserved > 0 && ` · ${t.overview.reserved(reserved)}`}
      </p>
      <p>
        <a class="button" href={href('bundle')}>
          {user.bundle ? t.overview.buyMore : t.overview.chooseBundle}
        </a>
      </p>
    </section>
  )
}

interface ToDoProps {
  user: User
  balance: number
  hasCard: boolean
}

/** What keeps the account from working, most urgent first; nothing if all is well. */
function ToDo({ user, balance, hasCard }: ToDoProps) {
  const { state } = user.renewal
  const open: ComponentChildren[] = [
    user.recovery && (
      <>
        <p>{t.toDo.recovery(user.recovery.finishesAt)}</p>
        <ActionButton run={() => client.recovery.stop({}).then(() => location.reload())}>
          {t.recovery.stop}
        </ActionButton>
      </>
    ),
    user.emailUndeliverable && <a href={href('profile')}>{t.toDo.undeliverable(user.email)}</a>,
    state === 'action_required' && <a href={href('renewal')}>{t.toDo.authenticate}</a>,
    (state === 'paused' || state === 'retrying') && <a href={href('cards')}>{t.toDo.card}</a>,
    balance < 0 && <a href={href('statement')}>{t.toDo.owed(-balance)}</a>,
    !hasCard && <a href={href('cards')}>{t.toDo.firstCard}</a>,
    hasCard && !user.bundle && <a href={href('bundle')}>{t.toDo.bundle}</a>,
  ].filter(Boolean)
  if (open.length === 0) return null
  return (
    <section class="notice warn" aria-label={t.toDo.title}>
      {open.map((what, at) => (
        <div key={at}>{what}</div>
      ))}
    </section>
  )
}
