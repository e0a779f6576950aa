import type { Answer } from '../api.ts'
import { t } from '../messages.ts'
import type { AccountPage } from '../search.tsx'

export type Standing = Answer<'listAccounts'>['accounts'][number]['standing']

const looks: Readonly<Record<Standing, string>> = {
  active: 'good',
  unconfirmed: 'warn',
  pending: 'warn',
  suspended: 'bad',
  deactivated: '',
  closing: 'warn',
  erased: '',
}

export const StandingTag = ({ of }: { of: Standing }) => (
  <span class={`tag ${looks[of]}`}>{t.standings[of]}</span>
)

/** How an account stands, in words and colours. */
export function Tags({ of: { account, delivery, access, units, money, openWork } }: { of: AccountPage }) {
  const tags = t.account.tags
  const said: [string, boolean, string][] = [
    [tags.undeliverable, delivery.undeliverable, 'bad'],
    [tags.owesUnits, units.owed > 0, 'bad'],
    [tags.owesMoney, money.balance < 0, 'bad'],
    [tags.low, units.low, 'warn'],
    [tags.recovering, access.recoveryFinishesAt !== null, 'warn'],
    [tags.twofa, access.twofa, ''],
    [tags.passkey, access.passkeys.length > 0, ''],
    [tags.paid, money.paid, ''],
    [tags.openWork(openWork.length), openWork.length > 0, ''],
  ]
  return (
    <p class="tags">
      <StandingTag of={account.standing} />
      {units.bundle && <span class="tag">{units.bundle}</span>}
      {said
        .filter(([, holds]) => holds)
        .map(([text, , look]) => (
          <span key={text} class={`tag ${look}`}>
            {text}
          </span>
        ))}
    </p>
  )
}
