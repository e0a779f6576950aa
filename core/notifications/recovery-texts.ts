import * as z from 'zod/mini'

/** What a mail about a recovery tells. */
export const recoveryNewsSchema = z.object({
  /** `begun` at its beginning, then each day `running`, and `ready` once it can be finished. */
  state: z.enum(['begun', 'running', 'ready']),
  /** Names the recovery, epoch ms. */
  beganAtMs: z.number(),
  /** From when on it can be finished, and when it ends unfinished, epoch ms. */
  finishesAtMs: z.number(),
  endsAtMs: z.number(),
})

export type RecoveryNews = z.infer<typeof recoveryNewsSchema>

/** A time as customers read it, such as 2026-12-01 20:30 UTC. */
export const timeText = (atMs: number): string =>
  `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`

const SUBJECTS: Record<RecoveryNews['state'], string> = {
  begun: 'Someone has begun to recover your account',
  running: 'Your account is being recovered',
  ready: 'The recovery of your account can be finished now',
}

/** What a mail and a notice about a recovery say: its subject, what happened, and what follows. */
export function recoveryText({ state, beganAtMs, finishesAtMs, endsAtMs }: RecoveryNews) {
  const happened =
    state === 'begun'
      ? 'Someone who can read your mail has begun to recover your account without its two-factor codes. Nothing has changed yet.'
      : `The recovery of your account that began on ${timeText(beganAtMs)} is still open. Nothing has changed yet.`
  const next =
    state === 'ready'
      ? `If this was you, ask for a code and set a new password before ${timeText(endsAtMs)}.`
      : `If this was you, ask for a code from ${timeText(finishesAtMs)} on, and set a new password with it.`
  return {
    subject: SUBJECTS[state],
    happened,
    next: `${next} That switches two-factor authentication off, removes your passkeys, ends every session and replaces your application keys.`,
    stop: 'If this was not you, please stop it now. Signing in with a two-factor code or a passkey stops it too.',
  }
}
