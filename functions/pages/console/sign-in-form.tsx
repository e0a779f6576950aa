import { useState } from 'preact/hooks'
import { ActionButton, Form, type Values } from '../kit/form.tsx'
import { canUsePasskeys, signWithPasskey } from '../kit/passkey.ts'
import { hasCode } from '../kit/problem.ts'
import { t } from './messages.ts'
import { client } from './session.ts'

/** Signs in by name and password and then by code, or by passkey alone. */
export function SignInForm({ onDone }: { onDone(): void }) {
  const [needsCode, setNeedsCode] = useState(false)

  async function signIn({ name = '', password = '', twofa }: Values) {
    const who = name.includes('@') ? { email: name } : { username: name }
    try {
      await client.sessions.login({ ...who, password, ...(twofa && { twofa }) })
    } catch (error) {
      if (!hasCode(error, 'two_factor_required')) throw error
      setNeedsCode(true)
      requestAnimationFrame(() => document.querySelector<HTMLElement>('[name=twofa]')?.focus())
      // The field that appears says it all.
      if (twofa) throw error
      return
    }
    onDone()
  }

  return (
    <>
      <Form
        submit={t.signIn.submit}
        onSubmit={signIn}
        fields={[
          { name: 'name', label: t.signIn.name, autocomplete: 'username webauthn', required: true },
          {
            name: 'password',
            label: t.signIn.password,
            type: 'password',
            autocomplete: 'current-password',
            required: true,
          },
          ...(needsCode ? [codeField] : []),
        ]}
      />
      {canUsePasskeys && (
        <ActionButton
          run={async () => {
            const passkey = await signWithPasskey(await client.passkeys.challenge())
            await client.sessions.loginWithPasskey({ passkey })
            onDone()
          }}
        >
          {t.signIn.passkey}
        </ActionButton>
      )}
    </>
  )
}

export const codeField = {
  name: 'twofa',
  label: t.signIn.code,
  hint: t.signIn.codeHint,
  autocomplete: 'one-time-code',
  required: true,
} as const
