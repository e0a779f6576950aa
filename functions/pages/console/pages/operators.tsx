import type { ComponentChildren } from 'preact'
import type { FieldSpec } from '../../kit/form.tsx'
import { dayText } from '../../kit/language.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { type Action, Actions, type Fact } from '../action.tsx'
import { type Answer, call } from '../api.ts'
import { t } from '../messages.ts'
import { Page } from '../page.tsx'
import { href } from '../paths.ts'
import { Table } from '../table.tsx'

type Operator = Answer<'listOperators'>['operators'][number]
type AdminKey = Answer<'listAdminKeys'>['adminKeys'][number]
type Service = Answer<'listServices'>['services'][number]

const o = t.operators
const roleField: FieldSpec = {
  name: 'role',
  label: o.role,
  type: 'select',
  value: 'support',
  options: (['read', 'support', 'admin'] as const).map((value) => ({ value, label: t.roles[value] })),
}
const nameField: FieldSpec = { name: 'name', label: o.name, required: true, autocomplete: 'off' }
const roleOf = ({ role }: Record<string, string>) => role as Operator['role']

const addOperator: Action<undefined> = {
  call: 'addOperator',
  ...o.add,
  fields: () => [
    { name: 'account', label: o.account, required: true, autocomplete: 'off', maxlength: 320 },
    roleField,
  ],
  says: (_, { account, role }) => o.add.says(account, role ? t.roles[roleOf({ role })] : undefined),
  async run(_, values) {
    const { account = '', reason = '' } = values
    const { operator } = await call('addOperator', { account, role: roleOf(values), reason })
    return { text: o.add.done(operator.name, t.roles[operator.role]) }
  },
}

const removeOperator: Action<Operator> = {
  call: 'removeOperator',
  ...o.remove,
  danger: true,
  says: ({ name }) => o.remove.says(name),
  async run({ name }, { reason = '' }) {
    await call('removeOperator', { name, reason })
    return { text: o.remove.done(name) }
  },
}

const addAdminKey: Action<undefined> = {
  call: 'addAdminKey',
  ...o.addKey,
  fields: () => [nameField, roleField],
  says: () => o.addKey.says,
  async run(_, values) {
    const { name = '', reason = '' } = values
    const { credential } = await call('addAdminKey', { name, role: roleOf(values), reason })
    return { text: o.addKey.done(name), secret: { label: o.credential, text: credential } }
  },
}

const revokeAdminKey: Action<AdminKey> = {
  call: 'revokeAdminKey',
  ...o.revoke,
  danger: true,
  says: ({ name }) => o.revoke.says(name),
  async run({ name }, { reason = '' }) {
    await call('revokeAdminKey', { name, reason })
    return { text: o.revoke.done(name) }
  },
}

const addService: Action<undefined> = {
  call: 'addService',
  ...o.addService,
  fields: () => [nameField],
  says: () => o.addService.says,
  async run(_, { name = '', reason = '' }) {
    const { credential } = await call('addService', { name, reason })
    return { text: o.addService.done(name), secret: { label: o.credential, text: credential } }
  },
}

const revokeService: Action<Service> = {
  call: 'revokeService',
  ...o.revoke,
  danger: true,
  says: ({ name }) => o.revoke.says(name),
  async run({ name }, { reason = '' }) {
    await call('revokeService', { name, reason })
    return { text: o.revoke.done(name) }
  },
}

/** Until when something counted. */
const stateText = (endedAt: string | null): string => (endedAt === null ? o.live : o.ended(dayText(endedAt)))
const State = ({ endedAt }: { endedAt: string | null }) => (
  <span class={endedAt === null ? 'tag good' : 'tag'}>{stateText(endedAt)}</span>
)

interface ListProps<T extends { name: string }> {
  title: string
  empty: string
  read(): Promise<readonly T[]>
  add: Action<undefined>
  end: Action<T>
  since(item: T): string
  endedAt(item: T): string | null
  columns: readonly { head: string; cell(item: T): ComponentChildren }[]
}

/** One list of who may act, with what adds to it and what ends an entry. */
function List<T extends { name: string }>({
  title,
  empty,
  read,
  add,
  end,
  since,
  endedAt,
  columns,
}: ListProps<T>) {
  const list = useResource(read)
  const reload = async () => {
    const items = await read()
    list.set(items)
    return items
  }
  const factsOf = (item: T): Fact[] => [[o.state, stateText(endedAt(item))]]
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <Actions actions={[add]} of={undefined} refresh={async () => void (await reload())} />
      </header>
      <Load of={list} empty={{ when: (items) => items.length === 0, text: empty }}>
        {(items) => (
          <Table
            caption={title}
            items={items}
            keyOf={(item) => `${item.name} ${since(item)}`}
            columns={[
              { head: o.name, cell: ({ name }) => name },
              ...columns,
              { head: o.since, cell: (item) => dayText(since(item)) },
              { head: o.state, cell: (item) => <State endedAt={endedAt(item)} /> },
              {
                head: t.account.purchase.act,
                cell: (item) => (
                  <Actions
                    actions={endedAt(item) === null ? [end] : []}
                    of={item}
                    about={item.name}
                    factsOf={factsOf}
                    refresh={async () => (await reload()).find((each) => since(each) === since(item))}
                  />
                ),
              },
            ]}
          />
        )}
      </Load>
    </section>
  )
}

/** People, programs and services that may act, and since when. */
export default function Operators() {
  return (
    <Page title={t.nav.operators} lead={o.lead}>
      <List<Operator>
        title={o.people}
        empty={o.noPeople}
        read={async () => (await call('listOperators')).operators}
        add={addOperator}
        end={removeOperator}
        since={({ addedAt }) => addedAt}
        endedAt={({ removedAt }) => removedAt}
        columns={[
          { head: o.role, cell: ({ role }) => t.roles[role] },
          {
            head: t.accounts.account,
            cell: ({ accountId }) => <a href={href('account', { id: accountId })}>{o.toAccount}</a>,
          },
          { head: t.nav.audit, cell: ({ name }) => <a href={href('audit', { operator: name })}>{o.did}</a> },
        ]}
      />
      <List<AdminKey>
        title={o.keys}
        empty={o.noKeys}
        read={async () => (await call('listAdminKeys')).adminKeys}
        add={addAdminKey}
        end={revokeAdminKey}
        since={({ createdAt }) => createdAt}
        endedAt={({ revokedAt }) => revokedAt}
        columns={[
          { head: o.role, cell: ({ role }) => t.roles[role] },
          { head: o.ends, cell: ({ last4 }) => <code>…{last4}</code> },
        ]}
      />
      <List<Service>
        title={o.services}
        empty={o.noServices}
        read={async () => (await call('listServices')).services}
        add={addService}
        end={revokeService}
        since={({ createdAt }) => createdAt}
        endedAt={({ revokedAt }) => revokedAt}
        columns={[{ head: o.ends, cell: ({ last4 }) => <code>…{last4}</code> }]}
      />
    </Page>
  )
}
