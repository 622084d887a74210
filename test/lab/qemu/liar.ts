/**
 * Somebody in a guest who has taken the place of QEMU's guest agent and answers whatever suits him: a shell script, in the protocol of
 * `guest-sync`, `guest-sync-delimited` and the commands for files.
 */
import type { Background } from '../../../lab/xen/background.js';
import type { LabGuest } from '../../../lab/qemu/lab-guest.js';
import { PORTS } from '../../../lab/qemu/init.js';
import { writeText } from '../../../lab/xen/shell.js';

const SCRIPT = '/run/liar.sh';
/** What he says is in /proc/meminfo. */
const LIE = '/run/lie';
/** While it is there, he answers a reading with a line of 100 MB. */
const FLOOD = '/run/flood';
const FLOOD_BYTES = 100_000_000;

const COMMANDS = ['open', 'seek', 'read', 'close']
  .map((name) => `{"name": "guest-file-${name}", "enabled": true, "success-response": true}`)
  .join(', ');

// Handles of the agent before him (1000 and more) he does not know: what he would read there is another file.
// Where nobody listens on the host, there is nothing to read: libvirt comes when it has heard that the port was opened.
const LIAR = `exec 3<>/dev/virtio-ports/${PORTS.guestAgent}
while :; do
  read -r line <&3 || { sleep 0.1; continue; }
  case $line in
    *guest-sync*)
      id=\${line##*'"id":'}
      case $line in *guest-sync-delimited*) printf '\\377';; esac
      echo "{\\"return\\": \${id%%[!0-9]*}}";;
    *guest-info*) echo '{"return": {"version": "7.2.0", "supported_commands": [${COMMANDS}]}}';;
    *guest-file-open*meminfo*) echo '{"return": 1}';;
    *guest-file-open*vmstat*) echo '{"return": 2}';;
    *guest-file-open*pressure*) echo '{"return": 3}';;
    *guest-file-open*) echo '{"return": 4}';;
    *guest-file-seek*) echo '{"return": {"position": 0, "eof": false}}';;
    *guest-file-read*)
      if [ -e ${FLOOD} ]; then head -c ${FLOOD_BYTES} /dev/zero | tr '\\0' x; echo; continue; fi
      case $line in
        *'"handle":'[1-4][,}]*) ;;
        *) echo '{"error": {"class": "GenericError", "desc": "that handle is not mine"}}'; continue;;
      esac
      case $line in
        *'"handle":1'*) cat ${LIE};;
        *'"handle":2'*) cat /proc/vmstat;;
        *'"handle":3'*) cat /proc/pressure/memory;;
        *) cat /proc/zoneinfo;;
      esac > /run/said
      echo "{\\"return\\": {\\"count\\": $(wc -c < /run/said), \\"buf-b64\\": \\"$(base64 /run/said | tr -d '\\n')\\", \\"eof\\": true}}";;
    *) echo '{"return": {}}';;
  esac >&3
done
`;

export interface Liar {
  /** What he says from now on: lines of /proc/meminfo that take the place of the true ones. */
  readonly say: (lines: readonly string[]) => Promise<void>;
  /** From now on he answers with far too much. */
  readonly flood: () => Promise<void>;
  /** The true agent has its place again. */
  readonly close: () => Promise<void>;
}

/** Puts him in the place of the guest's agent. He begins with the truth. */
export async function startLiar(guest: LabGuest): Promise<Liar> {
  const say = async (lines: readonly string[]): Promise<void> => {
    const names = lines.map((line) => `-e '^${line.split(':')[0] ?? ''}:'`).join(' ');
    await writeText(guest, `${LIE}.new`, `${lines.join('\n')}\n`);
    await guest.run(`grep -v ${names || "-e '^$'"} /proc/meminfo >> ${LIE}.new; mv ${LIE}.new ${LIE}`);
  };
  await say([]);
  await writeText(guest, SCRIPT, LIAR);
  await guest.signalGuestAgent('KILL');
  const program: Background = await guest.startProgram(`sh ${SCRIPT}`, 'liar');
  return {
    say,
    flood: async () => {
      await guest.run(`touch ${FLOOD}`);
    },
    close: async () => {
      // He and whoever floods for him are a session of their own.
      await guest.run(`rm -f ${FLOOD}; kill -KILL -${program.pid}`);
      await program.waitForEnd();
      await guest.startGuestAgent();
    },
  };
}
