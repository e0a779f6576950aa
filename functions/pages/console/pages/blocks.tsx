import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { timeText } from '../../kit/language.ts'
import { Paged, type Part } from '../../kit/paged.tsx'
import { type Action, ActionDialog, Actions } from '../action.tsx'
import { type Answer, call } from '../api.ts'
import { useMay } from '../me.tsx'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { type Column, Table } from '../table.tsx'

type Card = Answer<'listBlockedCards'>['cards'][number]
type Domain = Answer<'listMailDomains'>['domains'][number]

const b = t.blocks

const blockCard: Action<undefined> = {
  call: 'blockCard',
  ...b.blockCard,
  danger: true,
  fields: () => [
    { name: 'card', label: b.card, hint: b.cardHint, required: true, maxlength: 300, autocomplete: 'off' },
  ],
  says: () => b.blockCard.says,
  async run(_, { card = '', reason = '' }) {
    const { digest } = await call('blockCard', { card: card.trim(), reason })
    return { text: b.blockCard.done(digest) }
  },
}

const unblockCard: Action<Card> = {
  call: 'unblockCard',
  ...b.unblockCard,
  says: ({ reports, owing }) => b.unblockCard.says(reports.length, owing.length),
  async run({ digest }, { reason = '' }) {
    await call('unblockCard', { card: digest, reason })
    return { text: b.unblockCard.done(digest) }
  },
}

const ruleDomain: Action<undefined> = {
  call: 'ruleMailDomain',
  ...b.ruleDomain,
  fields: () => [
    { name: 'domain', label: b.domain, required: true, maxlength: 253, autocomplete: 'off' },
    {
      name: 'rule',
      label: b.rule,
      type: 'select',
      value: 'block',
      options: (['block', 'allow'] as const).map((value) => ({ value, label: b.ruleOf[value] })),
    },
  ],
  says: (_, { domain, rule }) => b.ruleDomain.says(domain?.trim() || undefined, rule === 'allow'),
  async run(_, { domain: typed = '', rule, reason = '' }) {
    const wanted = rule === 'allow' ? 'allow' : 'block'
    const { domain } = await call('ruleMailDomain', { domain: typed.trim(), rule: wanted, reason })
    return { text: b.ruleDomain.done(domain, b.ruleOf[wanted]) }
  },
}

const unruleDomain: Action<Domain> = {
  call: 'ruleMailDomain',
  ...b.unruleDomain,
  says: ({ domain }) => b.unruleDomain.says(domain),
  async run({ domain }, { reason = '' }) {
    await call('ruleMailDomain', { domain, rule: 'none', reason })
    return { text: b.unruleDomain.done(domain) }
  },
}

const whyOf = ({ byOperator, reports }: Card): string =>
  [...(byOperator ? [b.byOperator] : []), ...reports.map(({ reason }) => b.whyOf[reason] ?? reason)].join(
    ', ',
  )

/** The accounts of whose payments the reports are. */
function Accounts({ of: { reports } }: { of: Card }) {
  const ids = [...new Set(reports.map(({ account }) => account))]
  if (ids.length === 0) return '–'
  return ids.map((id) => (
    <a key={id} class="address" href={href('account', { id })}>
      {id}
    </a>
  ))
}

interface ListProps<T> {
  title: string
  lead: ComponentChildren
  empty: string
  read(cursor?: string): Promise<Part<T>>
  add: Action<undefined>
  end: Action<T>
  nameOf(item: T): string
  columns: readonly Column<T>[]
}

/** One list of what is refused, with what adds to it and what ends an entry. */
function List<T>({ title, lead, empty, read, add, end, nameOf, columns }: ListProps<T>) {
  const may = useMay()
  const [changes, setChanges] = useState(0)
  // Here, because the entry leaves the list once it has ended.
  const [ending, setEnding] = useState<T>()
  const refresh = async () => setChanges(changes + 1)
  const ends: Column<T> = {
    head: t.account.purchase.act,
    cell: (item) => (
      <div class="verbs">
        <button
          type="button"
          class="quiet"
          aria-label={`${end.verb}: ${nameOf(item)}`}
          onClick={() => setEnding(item)}
        >
          {end.verb}
        </button>
      </div>
    ),
  }
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <Actions actions={[add]} of={undefined} refresh={refresh} />
      </header>
      <p class="soft">{lead}</p>
      <Paged of={[changes]} empty={empty} read={read}>
        {(items) => (
          <Table
            caption={title}
            items={items}
            keyOf={nameOf}
            columns={may(end.call) ? [...columns, ends] : columns}
          />
        )}
      </Paged>
      {ending !== undefined && (
        <ActionDialog
          action={end}
          of={ending}
          refresh={async () => void (await refresh())}
          onClose={() => setEnding(undefined)}
        />
      )}
    </section>
  )
}

/** Cards with which no account can buy, and domains of mail with which nobody registers. */
export default function Blocks() {
  return (
    <Page title={t.nav.blocks} lead={b.lead}>
      <List<Card>
        title={b.cards}
        lead={b.cardsLead}
        empty={b.noCards}
        read={async (cursor) => {
          const { cards, next } = await call('listBlockedCards', { cursor })
          return { items: cards, cursor: next ?? undefined }
        }}
        add={blockCard}
        end={unblockCard}
        nameOf={({ digest }) => digest}
        columns={[
          { head: b.card, cell: ({ digest }) => <code>{digest}</code> },
          { head: b.why, cell: whyOf },
          { head: b.accounts, cell: (card) => <Accounts of={card} /> },
          { head: b.since, cell: ({ blockedAt }) => (blockedAt === null ? '–' : timeText(blockedAt)) },
        ]}
      />
      <List<Domain>
        title={b.domains}
        lead={b.domainsLead}
        empty={b.noDomains}
        read={async (cursor) => {
          const { domains, next } = await call('listMailDomains', { cursor })
          return { items: domains, cursor: next ?? undefined }
        }}
        add={ruleDomain}
        end={unruleDomain}
        nameOf={({ domain }) => domain}
        columns={[
          { head: b.domain, cell: ({ domain }) => domain },
          {
            head: b.rule,
            cell: ({ rule }) => (
              <span class={rule === 'block' ? 'tag bad' : 'tag good'}>{b.ruleOf[rule]}</span>
            ),
          },
          { head: b.since, cell: ({ at }) => timeText(at) },
        ]}
      />
    </Page>
  )
}
