import { Dialog } from '../kit/dialog.tsx'
import { ActionButton, Form } from '../kit/form.tsx'
import { canUsePasskeys, signWithPasskey } from '../kit/passkey.ts'
import { t } from './messages.ts'
import { asking } from './question.ts'
import { client } from './session.ts'
import { codeField, SignInForm } from './sign-in-form.tsx'

/** Over the page, and over a dialog on it: what was typed there is still there afterwards. */
export function QuestionDialog() {
  const { value } = asking
  if (!value) return null
  if (value.question === 'signIn')
    return (
      <Dialog title={t.signIn.again} onClose={value.stop}>
        <p>{t.signIn.againText}</p>
        <SignInForm onDone={value.go} />
      </Dialog>
    )
  return (
    <Dialog title={t.proof.title} onClose={value.stop}>
      <p>{t.proof.text}</p>
      <Form
        submit={t.proof.submit}
        fields={[codeField]}
        onSubmit={async ({ twofa = '' }) => {
          await client.sessions.confirm({ twofa })
          value.go()
        }}
      />
      {canUsePasskeys && (
        <ActionButton
          run={async () => {
            await client.sessions.confirm({
              passkey: await signWithPasskey(await client.passkeys.challenge()),
            })
            value.go()
          }}
        >
          {t.signIn.passkey}
        </ActionButton>
      )}
    </Dialog>
  )
}
