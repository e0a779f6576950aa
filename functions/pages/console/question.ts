import { signal } from '@preact/signals'
import { BursarError } from 'bursar/client'

/** What a person is asked before a call goes on: who they are once more, or to sign in again. */
export type Question = 'proof' | 'signIn'

const questionOf: Readonly<Record<string, Question>> = {
  reauthentication_required: 'proof',
  operator_sign_in_required: 'signIn',
  session_ended: 'signIn',
  token_expired: 'signIn',
  unauthorized: 'signIn',
}

interface Asking {
  question: Question
  answered: Promise<void>
  go(): void
  stop(): void
}

/** The question that is on the page. */
export const asking = signal<Asking | undefined>(undefined)

/** Calls that need the same answer at the same time wait for one question. */
function ask(question: Question, error: unknown): Promise<void> {
  if (asking.value) return asking.value.answered
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const answered = promise.finally(() => {
    asking.value = undefined
  })
  asking.value = { question, answered, go: resolve, stop: () => reject(error) }
  return answered
}

/** Does what may need a sign-in or a proof: the person is asked, and it goes on. What was typed meanwhile stays. */
export async function asked<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    const question = error instanceof BursarError ? questionOf[error.code] : undefined
    if (question === undefined) throw error
    await ask(question, error)
    return run()
  }
}
