import type { ComponentChildren } from 'preact'
import { useRoute } from 'preact-iso'
import { Copy } from '../../kit/copy.tsx'
import { dayText, moneyText, numberText, timeText } from '../../kit/language.ts'
import { Paged } from '../../kit/paged.tsx'
import { Load, useResource } from '../../kit/resource.tsx'
import {
  accessActions,
  canRefund,
  mailActions,
  moneyActions,
  refund,
  standingActions,
  unitActions,
} from '../account/actions.ts'
import { factsOf } from '../account/facts.ts'
import { Tags } from '../account/tags.tsx'
import { type Action, Actions } from '../action.tsx'
import { call } from '../api.ts'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { type AccountPage, found, remember } from '../search.tsx'
import { Table } from '../table.tsx'

/** Everything that helps to help one customer, and what can be done about it, each thing beside the other. */
export default function Account() {
  const { id = '' } = useRoute().query
  const page = useResource(async () => {
    const known = found.value
    found.value = undefined
    const read = known?.account.id === id ? known : await call('find', { query: id })
    remember(read)
    return read
  }, [id])
  // What was done is in the timeline too.
  const version = page.value
  const refresh = async () => {
    const read = await call('find', { query: id })
    page.set(read)
    return read
  }
  return (
    <Load of={page}>
      {(value) => (
        <Page
          title={value.account.username}
          aside={<Actions actions={standingActions(value)} of={value} refresh={refresh} factsOf={factsOf} />}
        >
          <Tags of={value} />
          {value.alike.length > 0 && <Alike ids={value.alike} />}
          {!value.complete && <p class="notice warn">{t.account.incomplete}</p>}
          <div class="columns">
            <div>
              <Identity page={value} refresh={refresh} />
              <Units page={value} refresh={refresh} />
            </div>
            <div>
              <Access page={value} refresh={refresh} />
              <Money page={value} refresh={refresh} />
            </div>
          </div>
          <Purchases page={value} refresh={refresh} />
          <div class="columns">
            <div>
              <Cards page={value} />
              <Keys page={value} />
              <Ledger page={value} />
            </div>
            <div>
              <Notes page={value} />
              <OpenWork page={value} />
              <Mails page={value} />
            </div>
          </div>
          <Section title={t.account.timeline}>
            <Timeline id={id} version={version} />
          </Section>
        </Page>
      )}
    </Load>
  )
}

interface PartProps {
  page: AccountPage
}
interface ActingProps extends PartProps {
  refresh(): Promise<AccountPage>
}

interface SectionProps {
  title: string
  actions?: ComponentChildren
  children: ComponentChildren
}

function Section({ title, actions, children }: SectionProps) {
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {actions}
      </header>
      {children}
    </section>
  )
}

const acting = (actions: readonly Action<AccountPage>[], { page, refresh }: ActingProps) => (
  <Actions actions={actions} of={page} refresh={refresh} factsOf={factsOf} />
)

/** A list of facts; what there is nothing to say of is left out. */
function Facts({ of }: { of: readonly (readonly [label: string, value: ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of
        .filter(([, value]) => value !== undefined && value !== null && value !== false && value !== '')
        .map(([label, value]) => [<dt key={label}>{label}</dt>, <dd key={`${label}.`}>{value}</dd>])}
    </dl>
  )
}

const at = (time: string | null) => time && <time dateTime={time}>{timeText(time)}</time>
const Nothing = ({ text }: { text: string }) => <p class="soft">{text}</p>

function Alike({ ids }: { ids: readonly string[] }) {
  return (
    <div class="notice warn">
      <p>{t.account.alike}</p>
      <p class="actions">
        {ids.map((id) => (
          <a key={id} href={href('account', { id })}>
            <code>{id}</code>
          </a>
        ))}
      </p>
    </div>
  )
}

function Identity(props: ActingProps) {
  const { account, delivery } = props.page
  const f = t.account.facts
  return (
    <Section title={t.account.identity} actions={acting(mailActions(props.page), props)}>
      <Facts
        of={[
          [
            f.email,
            <>
              {account.email}{' '}
              {!account.emailVerified && <span class="tag warn">{t.account.tags.unconfirmed}</span>}
            </>,
          ],
          [f.delivery, delivery.undeliverable && (delivery.reason ?? t.no)],
          [f.pendingEmail, account.pendingEmail],
          [f.name, account.name],
          [f.country, account.country],
          [f.since, at(account.createdAt)],
          [f.lastLogin, at(account.lastLoginAt)],
          [f.eraseAt, at(account.eraseAt)],
          [f.customer, account.customerId && <code>{account.customerId}</code>],
        ]}
      />
      <Copy label={t.account.id} text={account.id} />
    </Section>
  )
}

function Access(props: ActingProps) {
  const { access } = props.page
  const f = t.account.facts
  return (
    <Section title={t.account.access} actions={acting(accessActions(props.page), props)}>
      <Facts
        of={[
          [f.twofa, access.twofa ? t.on : t.off],
          [f.passkeys, access.passkeys.map(({ name }) => name).join(', ') || t.none],
          [f.recovery, at(access.recoveryFinishesAt)],
        ]}
      />
      {access.sessions.length === 0 ? (
        <Nothing text={t.account.noSessions} />
      ) : (
        <Table
          caption={t.account.facts.sessions}
          items={access.sessions}
          keyOf={({ since, device }) => `${since} ${device}`}
          columns={[
            { head: t.account.device, cell: ({ device }) => device ?? t.account.unknownDevice },
            { head: t.account.signedIn, cell: ({ since }) => timeText(since) },
            { head: t.account.lastSeen, cell: ({ lastSeen }) => timeText(lastSeen) },
          ]}
        />
      )}
    </Section>
  )
}

function Units(props: ActingProps) {
  const { units, ledgerCheck } = props.page
  const f = t.account.facts
  return (
    <Section title={t.account.units} actions={acting(unitActions, props)}>
      <p class="big">
        {numberText(units.left)} <small>{t.account.leftOf(units.bundle)}</small>
      </p>
      <Facts
        of={[
          [f.used, numberText(units.used)],
          [f.reserved, units.reserved > 0 && numberText(units.reserved)],
          [f.owed, units.owed > 0 && numberText(units.owed)],
          [
            f.ledger,
            ledgerCheck && (
              <span class={ledgerCheck.right ? 'tag good' : 'tag bad'}>
                {ledgerCheck.right ? t.account.ledgerRight : t.account.ledgerWrong}
              </span>
            ),
          ],
          [f.waiting, ledgerCheck && ledgerCheck.waiting > 0 && numberText(ledgerCheck.waiting)],
        ]}
      />
    </Section>
  )
}

function Money(props: ActingProps) {
  const { money, renewal } = props.page
  const f = t.account.facts
  return (
    <Section title={t.account.money} actions={acting(moneyActions, props)}>
      <p class="big">
        {moneyText(money.balance, money.currency)} <small>{f.balance}</small>
      </p>
      <Facts
        of={[
          [f.paid, money.paid ? t.yes : t.no],
          [f.renewal, <span lang="en">{renewal.text}</span>],
          [f.nextAttempt, at(renewal.nextAttemptAt)],
        ]}
      />
    </Section>
  )
}

function Purchases({ page, refresh }: ActingProps) {
  const p = t.account.purchase
  return (
    <Section title={t.account.purchases}>
      {page.purchases.length === 0 ? (
        <Nothing text={t.account.noPurchases} />
      ) : (
        <Table
          caption={t.account.purchases}
          items={page.purchases}
          keyOf={({ id }) => id}
          columns={[
            { head: p.at, cell: ({ createdAt }) => timeText(createdAt) },
            { head: p.what, cell: ({ kind, bundle }) => `${p.kinds[kind]}, ${bundle}` },
            {
              head: p.state,
              cell: ({ state }) => <span class={`tag ${p.looks[state] ?? ''}`}>{p.states[state]}</span>,
            },
            { head: p.units, number: true, cell: ({ units }) => numberText(units) },
            { head: p.amount, number: true, cell: ({ amount, currency }) => moneyText(amount, currency) },
            {
              head: p.back,
              number: true,
              cell: ({ refunded, disputed, currency }) =>
                refunded + disputed > 0 ? moneyText(refunded + disputed, currency) : '–',
            },
            { head: p.payment, cell: ({ paymentId }) => paymentId && <code>{paymentId}</code> },
            {
              head: p.act,
              cell: (purchase) => (
                <Actions
                  actions={canRefund({ page, purchase }) ? [refund] : []}
                  of={{ page, purchase }}
                  about={`${purchase.bundle}, ${timeText(purchase.createdAt)}`}
                  factsOf={(of) => factsOf(of.page)}
                  refresh={async () => {
                    const now = await refresh()
                    return {
                      page: now,
                      purchase: now.purchases.find(({ id }) => id === purchase.id) ?? purchase,
                    }
                  }}
                />
              ),
            },
          ]}
        />
      )}
    </Section>
  )
}

function Cards({ page: { cards } }: PartProps) {
  return (
    <Section title={t.account.cards}>
      {cards.length === 0 ? (
        <Nothing text={t.account.noCards} />
      ) : (
        <ul class="list">
          {cards.map((card) => (
            <li key={card.id}>
              <span class="grow">
                {card.brand} •••• {card.last4}
                <small>{t.account.cardAbout(card.expires, dayText(card.addedAt))}</small>
              </span>
              {card.default && <span class="tag">{t.account.mainCard}</span>}
              {card.declined && <span class="tag bad">{card.reason ?? t.account.declined}</span>}
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

function Keys({ page: { keys } }: PartProps) {
  return (
    <Section title={t.account.keys(keys.count)}>
      {keys.further.length === 0 ? (
        <Nothing text={t.account.onlyDefaultKey} />
      ) : (
        <ul class="list">
          {keys.further.map((key) => (
            <li key={key.id}>
              <span class="grow">
                {key.name} <code>{`${key.prefix}…${key.last4}`}</code>
                <small>
                  {t.account.keySince(dayText(key.createdAt), key.expiresAt && dayText(key.expiresAt))}
                </small>
              </span>
              {!key.enabled && <span class="tag warn">{t.account.disabled}</span>}
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

function OpenWork({ page: { openWork } }: PartProps) {
  return (
    <Section title={t.account.openWork}>
      {openWork.length === 0 ? (
        <Nothing text={t.account.noOpenWork} />
      ) : (
        <ul class="list" lang="en">
          {openWork.map(({ what, dueAt, item }) => (
            <li key={item}>
              <span class="grow">
                {what}
                <small>{timeText(dueAt)}</small>
              </span>
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

function Mails({ page: { mails } }: PartProps) {
  const lines = [
    ...mails.queued.map(({ template, since, failures }) => ({
      at: since,
      what: template,
      outcome: t.account.queued(failures),
    })),
    ...mails.sent.map(({ template, event, at, outcome }) => ({ at, what: event ?? template, outcome })),
  ]
  return (
    <Section title={t.account.mails}>
      {lines.length === 0 ? (
        <Nothing text={t.account.noMails} />
      ) : (
        <Table
          caption={t.account.mails}
          items={lines}
          keyOf={({ at, what }) => `${at} ${what}`}
          columns={[
            { head: t.account.purchase.at, cell: ({ at }) => timeText(at) },
            { head: t.account.mail, cell: ({ what }) => what },
            { head: t.account.outcome, cell: ({ outcome }) => outcome },
          ]}
        />
      )}
    </Section>
  )
}

function Ledger({ page: { ledger } }: PartProps) {
  const p = t.account.purchase
  return (
    <Section title={t.account.ledger}>
      {ledger.length === 0 ? (
        <Nothing text={t.account.noLedger} />
      ) : (
        <Table
          caption={t.account.ledger}
          items={ledger}
          keyOf={({ seq }) => String(seq)}
          columns={[
            { head: '#', cell: ({ seq }) => seq },
            { head: p.at, cell: ({ at }) => timeText(at) },
            { head: p.what, cell: ({ kind }) => kind },
            { head: p.units, number: true, cell: ({ units }) => numberText(units) },
            {
              head: p.amount,
              number: true,
              cell: ({ amount, currency }) => (amount === 0 ? '–' : moneyText(amount, currency)),
            },
          ]}
        />
      )}
    </Section>
  )
}

/** What operators have noted as their reasons. */
function Notes({ page }: PartProps) {
  const notes = page.audit.filter(({ reason }) => reason)
  return (
    <Section
      title={t.account.notes}
      actions={<a href={href('audit', { account: page.account.id })}>{t.account.wholeAudit}</a>}
    >
      {notes.length === 0 ? (
        <Nothing text={t.account.noNotes} />
      ) : (
        <ul class="list">
          {notes.map(({ id, at, action, name, by, reason }) => (
            <li key={id}>
              <span class="grow">
                {reason}
                <small>
                  {name ?? by}, {action}, {timeText(at)}
                </small>
              </span>
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

function Timeline({ id, version }: { id: string; version: unknown }) {
  return (
    <Paged
      of={[id, version]}
      empty={t.account.noTimeline}
      read={async (cursor) => {
        const { happenings, next } = await call('timeline', { id, cursor })
        return { items: happenings, cursor: next ?? undefined }
      }}
    >
      {(items) => (
        <Table
          caption={t.account.timeline}
          items={items}
          keyOf={(each) => each.id}
          columns={[
            {
              head: t.account.purchase.at,
              cell: (each) => <time dateTime={each.at}>{timeText(each.at)}</time>,
            },
            { head: t.account.kind, cell: ({ kind }) => <span class="tag">{kind}</span> },
            { head: t.account.purchase.what, cell: ({ text }) => <span lang="en">{text}</span> },
            { head: t.account.by, cell: ({ by }) => by ?? '' },
          ]}
        />
      )}
    </Paged>
  )
}
