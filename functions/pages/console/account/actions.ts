import { download } from '../../kit/download.ts'
import type { FieldSpec, Values } from '../../kit/form.tsx'
import { minorUnits, moneyText, timeText } from '../../kit/language.ts'
import { type Action, given } from '../action.tsx'
import { type Answer, call } from '../api.ts'
import { t } from '../messages.ts'
import { centsText } from '../money.ts'
import type { AccountPage } from '../search.tsx'

type AccountAction = Action<AccountPage>

/** `says` and `run` take what was typed as texts; the API checks the rest. */
const reasonOf = ({ reason = '' }: Values) => reason.trim()
const idOf = ({ account }: AccountPage) => account.id
const a = t.actions

const proofField: FieldSpec = {
  name: 'proof',
  label: a.proof,
  hint: a.proofHint,
  minlength: 3,
  maxlength: 500,
}
const unitsField: FieldSpec = {
  name: 'units',
  label: a.units,
  type: 'number',
  min: 1,
  max: 1_000_000_000,
  step: '1',
  required: true,
}
const amountField = (currency: string): FieldSpec => ({
  name: 'amount',
  label: a.amount(currency),
  type: 'number',
  min: 0,
  step: 'any',
  inputmode: 'decimal',
  required: true,
})

const centsOf = ({ amount }: Values, { money }: AccountPage): number =>
  minorUnits(Number(amount), money.currency)

/** What was booked; an earlier copy of the request may have done it. */
const bookedText = ({ entry, left, replayed }: Answer<'grant'>): string =>
  `${a.booked(entry.seq, left)}${replayed ? ` ${a.replayed}` : ''}`

const suspend: AccountAction = {
  call: 'suspend',
  ...a.suspend,
  danger: true,
  fields: () => [{ name: 'silent', label: a.silent, type: 'checkbox' }],
  says: ({ account }, { silent }) => a.suspend.says(account.username, silent === 'on'),
  async run(page, values) {
    await call('suspend', { id: idOf(page), reason: reasonOf(values), silent: values.silent === 'on' })
    return { text: a.suspend.done }
  },
}

const resume: AccountAction = {
  call: 'resume',
  ...a.resume,
  says: ({ account }) => a.resume.says(account.username),
  async run(page, values) {
    await call('resume', { id: idOf(page), reason: reasonOf(values) })
    return { text: a.resume.done }
  },
}

const close: AccountAction = {
  call: 'close',
  ...a.close,
  danger: true,
  fields: () => [{ name: 'forfeit', label: a.forfeit, type: 'checkbox' }],
  says: ({ account, units }, { forfeit }) => a.close.says(account.username, units.left, forfeit === 'on'),
  async run(page, values) {
    const { eraseAt } = await call('close', {
      id: idOf(page),
      reason: reasonOf(values),
      ...(values.forfeit === 'on' && { units: 'forfeit' }),
    })
    return { text: a.close.done(timeText(eraseAt)) }
  },
}

const reopen: AccountAction = {
  call: 'reopen',
  ...a.reopen,
  says: ({ account }) => a.reopen.says(account.username),
  async run(page, values) {
    await call('reopen', { id: idOf(page), reason: reasonOf(values) })
    return { text: a.reopen.done }
  },
}

const erase: AccountAction = {
  call: 'erase',
  ...a.erase,
  danger: true,
  fields: ({ account }) => [
    {
      name: 'confirm',
      label: a.confirm,
      hint: a.confirmHint(account.email),
      autocomplete: 'off',
      required: true,
    },
  ],
  says: ({ account, units }) => a.erase.says(account.username, units.left),
  async run(page, values) {
    const { status } = await call('erase', {
      id: idOf(page),
      confirm: values.confirm ?? '',
      reason: reasonOf(values),
    })
    return { text: status === 'erased' ? a.erase.done : a.erase.begun }
  },
}

/** Reads every page of an export into one file of the operator's. */
const exportAll: AccountAction = {
  call: 'exportAccount',
  ...a.export,
  says: ({ account }) => a.export.says(account.username),
  async run(page, values) {
    const sections: Record<string, unknown> = {}
    let cursor: string | undefined
    do {
      const { next, ...part } = await call('exportAccount', {
        id: idOf(page),
        reason: reasonOf(values),
        cursor,
      })
      for (const [name, value] of Object.entries(part)) {
        const before = sections[name]
        sections[name] =
          Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : (before ?? value)
      }
      cursor = next ?? undefined
    } while (cursor !== undefined)
    download(`${page.account.username}.json`, 'application/json', `${JSON.stringify(sections, null, 2)}\n`)
    return { text: a.export.done(`${page.account.username}.json`) }
  },
}

/** What ends or brings back the account itself, as far as its standing allows. */
export function standingActions({ account }: AccountPage): AccountAction[] {
  if (account.standing === 'erased') return []
  if (account.standing === 'suspended') return [resume, exportAll, erase]
  const isGone = account.standing === 'deactivated' || account.standing === 'closing'
  return isGone ? [reopen, suspend, exportAll, erase] : [suspend, close, exportAll, erase]
}

const signOut: AccountAction = {
  call: 'signOut',
  ...a.signOut,
  says: ({ account, access }) => a.signOut.says(account.username, access.sessions.length),
  async run(page, values) {
    const { sessions } = await call('signOut', { id: idOf(page), reason: reasonOf(values) })
    return { text: a.signOut.done(sessions) }
  },
}

const unlock: AccountAction = {
  call: 'unlock',
  ...a.unlock,
  says: ({ account }) => a.unlock.says(account.username),
  async run(page, values) {
    await call('unlock', { id: idOf(page), reason: reasonOf(values) })
    return { text: a.unlock.done }
  },
}

const resetTwoFactor: AccountAction = {
  call: 'resetTwoFactor',
  ...a.resetTwoFactor,
  fields: () => [proofField],
  says: ({ account }, { proof }) => a.resetTwoFactor.says(account.username, given(proof) !== undefined),
  async run(page, values) {
    const { state, by, finishesAt } = await call('resetTwoFactor', {
      id: idOf(page),
      reason: reasonOf(values),
      proof: given(values.proof),
    })
    if (state === 'off') return { text: a.resetTwoFactor.done }
    return { text: a.resetTwoFactor.waits(finishesAt === null ? '' : timeText(finishesAt), by === 'owner') }
  },
}

const keepTwoFactor: AccountAction = {
  call: 'keepTwoFactor',
  ...a.keepTwoFactor,
  says: ({ account }) => a.keepTwoFactor.says(account.username),
  async run(page, values) {
    await call('keepTwoFactor', { id: idOf(page), reason: reasonOf(values) })
    return { text: a.keepTwoFactor.done }
  },
}

/** Who gets in. */
export function accessActions({ access }: AccountPage): AccountAction[] {
  return [
    ...(access.sessions.length > 0 ? [signOut] : []),
    unlock,
    ...(access.twofa || access.passkeys.length > 0 ? [resetTwoFactor] : []),
    ...(access.recoveryFinishesAt === null ? [] : [keepTwoFactor]),
  ]
}

const changeEmail: AccountAction = {
  call: 'changeEmail',
  ...a.changeEmail,
  fields: () => [
    { name: 'email', label: a.newEmail, type: 'email', autocomplete: 'off', required: true },
    proofField,
  ],
  says: ({ account }, { proof }) =>
    a.changeEmail.says(account.email, given(proof) !== undefined, account.emailVerified),
  async run(page, values) {
    const { state, finishesAt } = await call('changeEmail', {
      id: idOf(page),
      email: values.email ?? '',
      reason: reasonOf(values),
      proof: given(values.proof),
    })
    return { text: a.changeEmail.done[state](finishesAt === null ? '' : timeText(finishesAt)) }
  },
}

const keepEmail: AccountAction = {
  call: 'keepEmail',
  ...a.keepEmail,
  says: ({ account }) => a.keepEmail.says(account.email),
  async run(page, values) {
    await call('keepEmail', { id: idOf(page), reason: reasonOf(values) })
    return { text: a.keepEmail.done }
  },
}

const resend: AccountAction = {
  call: 'resendMail',
  ...a.resend,
  says: ({ account, delivery }) => a.resend.says(account.email, delivery.undeliverable),
  async run(page, values) {
    const { mails, cleared } = await call('resendMail', { id: idOf(page), reason: reasonOf(values) })
    return { text: a.resend.done(mails, cleared) }
  },
}

/** How the owner is reached. */
export function mailActions({ account }: AccountPage): AccountAction[] {
  // A change of the address that waits is not in `pendingEmail` yet, and to stop none does nothing.
  return [resend, changeEmail, ...(account.emailVerified ? [keepEmail] : [])]
}

const grant: AccountAction = {
  call: 'grant',
  ...a.grant,
  named: true,
  fields: () => [unitsField, { name: 'until', label: a.until, type: 'date', hint: a.untilHint }],
  says: ({ account, units }, values) =>
    a.grant.says(account.username, units.left, Number(values.units), units.owed),
  async run(page, values, request) {
    const answer = await call(
      'grant',
      {
        id: idOf(page),
        units: Number(values.units),
        expiresAt: given(values.until) && `${values.until}T00:00:00Z`,
        reason: reasonOf(values),
      },
      request,
    )
    return { text: bookedText(answer) }
  },
}

const take: AccountAction = {
  call: 'take',
  ...a.take,
  named: true,
  danger: true,
  fields: () => [unitsField, { name: 'owe', label: a.owe, type: 'checkbox' }],
  says: ({ account, units }, values) =>
    a.take.says(account.username, units.left, Number(values.units), values.owe === 'on'),
  async run(page, values, request) {
    const input = {
      id: idOf(page),
      units: Number(values.units),
      owe: values.owe === 'on',
      reason: reasonOf(values),
    }
    return { text: bookedText(await call('take', input, request)) }
  },
}

export const unitActions: readonly AccountAction[] = [grant, take]

const balanceText = ({ entry, balanceCents, currency, replayed }: Answer<'credit'>): string =>
  `${a.balance(entry.seq, centsText(balanceCents, currency))}${replayed ? ` ${a.replayed}` : ''}`

const credit: AccountAction = {
  call: 'credit',
  ...a.credit,
  named: true,
  fields: ({ money }) => [amountField(money.currency)],
  says: ({ account, money }) => a.credit.says(account.username, moneyText(money.balance, money.currency)),
  async run(page, values, request) {
    const input = { id: idOf(page), amountCents: centsOf(values, page), reason: reasonOf(values) }
    return { text: balanceText(await call('credit', input, request)) }
  },
}

const debit: AccountAction = {
  call: 'debit',
  ...a.debit,
  named: true,
  fields: ({ money }) => [amountField(money.currency)],
  says: ({ account, money }) => a.debit.says(account.username, moneyText(money.balance, money.currency)),
  async run(page, values, request) {
    const input = { id: idOf(page), amountCents: centsOf(values, page), reason: reasonOf(values) }
    return { text: balanceText(await call('debit', input, request)) }
  },
}

const reconcile: AccountAction = {
  call: 'reconcileAccount',
  ...a.reconcile,
  says: ({ account }) => a.reconcile.says(account.username),
  async run(page, values) {
    const mended: string[] = []
    const found = new Set<string>()
    let [purchases, entries] = [0, 0]
    let cursor: string | undefined
    do {
      const part = await call('reconcileAccount', { id: idOf(page), reason: reasonOf(values), cursor })
      entries = part.entries
      purchases += part.purchases
      mended.push(...part.mended.map(({ about, text }) => `${about}: ${text}`))
      // The ledger is compared with each page.
      for (const { about, text } of part.found) found.add(`${about}: ${text}`)
      cursor = part.next ?? undefined
    } while (cursor !== undefined)
    return { text: a.reconcile.done(entries, purchases, mended, [...found]) }
  },
}

export const moneyActions: readonly AccountAction[] = [credit, debit, reconcile]

export interface Bought {
  page: AccountPage
  purchase: AccountPage['purchases'][number]
}

/** How much of a purchase is still to go back. */
const openOf = ({ purchase }: Bought): number => purchase.amount - purchase.refunded - purchase.disputed

export const refund: Action<Bought> = {
  call: 'refund',
  ...a.refund,
  named: true,
  danger: true,
  fields: ({ page: { units }, purchase }) => [
    {
      name: 'what',
      label: a.refund.what,
      type: 'select',
      value: 'all',
      options: [
        { value: 'all', label: a.refund.all },
        { value: 'units_left', label: a.refund.unitsLeft(units.left) },
        { value: 'amount', label: a.refund.some },
      ],
    },
    {
      name: 'amount',
      label: a.amount(purchase.currency),
      hint: a.refund.amountHint,
      type: 'number',
      min: 0,
      step: 'any',
      inputmode: 'decimal',
    },
  ],
  says: (of, { what = 'all', amount }) =>
    a.refund.says(
      of.page.account.username,
      what === 'all'
        ? moneyText(openOf(of), of.purchase.currency)
        : what === 'amount' && amount
          ? moneyText(Number(amount), of.purchase.currency)
          : undefined,
      of.purchase.units,
      of.page.units.left,
    ),
  async run({ page, purchase }, values, request) {
    const what = values.what as 'all' | 'units_left' | 'amount'
    const answer = await call(
      'refund',
      {
        id: idOf(page),
        purchase: purchase.id,
        what,
        ...(what === 'amount' && { amountCents: minorUnits(Number(values.amount), purchase.currency) }),
        reason: reasonOf(values),
      },
      request,
    )
    if ('status' in answer) return { text: a.refund.pending(answer.id) }
    const text = a.refund.done(centsText(answer.amountCents, answer.currency), answer.id)
    return { text: answer.replayed ? `${text} ${a.replayed}` : text }
  },
}

export const canRefund = (of: Bought): boolean => of.purchase.state === 'credited' && openOf(of) > 0
