import type { Faults } from "@bedrock-batch/emulator"

/** Everything at once, by chance. */
export const everything: Faults.FaultOptions = {
  throttleCreate: 0.2,
  throttleGet: 0.2,
  throttleList: 0.1,
  serverErrorOnCreate: 0.1,
  serverErrorAfterCreate: 0.15,
  answerLost: 0.15,
  quotaFull: 0.1,
  slowCreate: { when: 0.2, by: "300 millis" },
  slowAnswer: { when: 0.2, by: "300 millis" },
  token: "ignored",
  listLag: "300 millis",
  counterLag: "1 minute",
  failJob: 0.1,
  expireJob: 0.1,
  partialJob: 0.2,
  failAllRecords: 0.1,
  missingLines: 0.02,
  duplicateLines: 0.02,
  unknownIds: 0.02,
  malformedLines: 0.02,
  throttledRecords: 0.05,
  brokenRecords: 0.05
}
