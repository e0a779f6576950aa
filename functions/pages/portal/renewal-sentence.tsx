import { timeText } from '../kit/language.ts'
import type { User } from './context.tsx'
import { t } from './messages.ts'

const LOOK: Record<User['renewal']['state'], string> = {
  on: 'good',
  off: '',
  retrying: 'warn',
  paused: 'bad',
  action_required: 'warn',
  capped: 'warn',
  held_back: 'warn',
}

/** The state of auto-renewal in a sentence: what it is, and when it goes on. */
export function RenewalSentence({ user: { renewal, bundle } }: { user: User }) {
  const { state, nextAttemptAt } = renewal
  if (!bundle) return <p>{t.renewal.withoutBundle}</p>
  return (
    <>
      <p>
        <span class={`tag ${LOOK[state]}`}>{t.renewal.states[state].name}</span>
      </p>
      <p>
        {t.renewal.states[state].text(renewal.bundle, String(renewal.below))}
        {nextAttemptAt && ` ${t.renewal.nextAttempt(timeText(nextAttemptAt))}`}
      </p>
    </>
  )
}
