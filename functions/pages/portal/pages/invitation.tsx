import { useRoute } from 'preact-iso'
import { Door } from '../door.tsx'
import { t } from '../messages.ts'
import { NewPassword } from './reset.tsx'

export default function Invitation() {
  const { params } = useRoute()
  return (
    <Door title={t.invitation.title} lead={t.invitation.lead}>
      <NewPassword code={params.code ?? ''} />
    </Door>
  )
}
