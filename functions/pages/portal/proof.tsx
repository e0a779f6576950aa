import { signal } from '@preact/signals'
import { Dialog } from '../kit/dialog.tsx'
import { ActionButton, Form } from '../kit/form.tsx'
import { canUsePasskeys, signWithPasskey } from '../kit/passkey.ts'
import { hasCode } from '../kit/problem.ts'
import { codeField } from './code-field.ts'
import { useAccount } from './context.tsx'
import { t } from './messages.ts'
import { client } from './session.ts'

/** What waits for a proof: both ends of the promise of `prove`. */
const waiting = signal<{ go(): void; stop(): void } | undefined>(undefined)

/** Asks the person to prove once more who they are. @param error what is thrown if they close the question */
export async function prove(error: unknown = new Error('The proof was not given.')): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    waiting.value = { go: resolve, stop: () => reject(error) }
  }).finally(() => {
    waiting.value = undefined
  })
}

/**
 * Does what changes who gets into the account. Where the sign-in is too old for that, the person proves again who they
 * are, and it goes on.
 */
export async function proved<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!hasCode(error, 'reauthentication_required')) throw error
    await prove(error)
    return run()
  }
}

export function ProofDialog() {
  const { value: question } = waiting
  const account = useAccount()
  if (!question) return null
  const coded = account.value?.twofa === true
  return (
    <Dialog title={t.proof.title} onClose={question.stop}>
      <p>{t.proof.text}</p>
      <Form
        submit={t.proof.submit}
        onSubmit={async ({ password = '', twofa = '' }) => {
          await client.sessions.confirm(twofa ? { twofa } : { password })
          question.go()
        }}
        fields={[
          coded
            ? codeField
            : {
                name: 'password',
                label: t.signIn.password,
                type: 'password',
                autocomplete: 'current-password',
                required: true,
              },
        ]}
      />
      {canUsePasskeys && (
        <ActionButton
          run={async () => {
            await client.sessions.confirm({
              passkey: await signWithPasskey(await client.passkeys.challenge()),
            })
            question.go()
          }}
        >
          {t.signIn.passkey}
        </ActionButton>
      )}
    </Dialog>
  )
}
