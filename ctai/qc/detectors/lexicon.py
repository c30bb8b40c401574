"""Lexicon of the detectors: labels, task verbs and function words in the languages that base models write most.

Owns word lists only; the detectors decide how a word counts.
"""


def _words(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in text.split())


# ------------------------------------------------------------------------------------- labels, in lower case

# Labels that open a prompt wherever they stand: no record and no answer has them.
INSTRUCTION_LABELS = _words(
    "instruction instructions anweisung anweisungen instrucción instrucciones instrução instruções"
    " istruzione istruzioni"
    " consigne consignes opdracht instructie instruktion инструкция 指令 指示"
)
QUESTION_LABELS = _words(
    "question q frage pregunta pergunta domanda vraag fråga questão вопрос 问题 問題 问 質問 query quiz"
) | {"true or false", "true/false"}
# Labels that open a prompt or a turn, but occur in records too ("User: admin"): their neighbours decide.
PROMPT_LABELS = _words(
    "input prompt task exercise exercises problem problems questions challenge assignment homework"
    " eingabe aufgabe entrada tarea ejercicio problema tarefa"
    " exercício entrée tâche exercice problème esercizio compito invoer taak oefening задание задача 任务 输入 入力"
)
ANSWER_LABELS = _words(
    "answer a ans response output completion antwort respuesta resposta risposta réponse reponse antwoord svar"
    " ausgabe salida saída sortie uitvoer ответ 答案 回答 答 输出 出力"
)
CHAT_LABELS = _words(
    "human user assistant ai bot chatbot chatgpt gpt system model robot you me benutzer nutzer assistent"
    " usuario usuário"
    " asistente assistente utilisateur utilisatrice utente gebruiker пользователь ассистент 用户 助手 ユーザー"
)
# Roles of speakers that a base model continues with; a name ("Tom:") is none of them.
ROLE_LABELS = _words(
    "student teacher pupil tutor professor customer agent client clerk support caller operator patient doctor"
    " interviewer interviewee candidate guest host speaker comment commenter reply replies moderator admin op anonymous"
    " poster reader visitor member asker expert editor coach parent child mom dad boss person friend narrator b"
    " schüler schülerin lehrer lehrerin kunde kundin alumno alumna profesor profesora maestro maestra cliente"
    " élève professeur étudiant étudiante studente studentessa insegnante professoressa aluno aluna professora"
    " commentaire kommentar comentario comentário commento réplique"
)
# Fields of worked examples, in pairs: "Text:" and "Summary:", "English:" and "Italian:".
FIELD_LABELS = _words(
    "text topic story summary passage sentence article review sentiment label tweet headline translation context source"
    " target word definition synonym antonym premise hypothesis category class rating keywords subject paragraph riddle"
    " statement verdict document title poem joke code description equation result original corrected"
    " correction before after"
    " english french german spanish italian portuguese dutch latin japanese chinese russian polish turkish swedish"
    " completion command expression explanation fact claim emotion language country capital"
)
# Words before the number of an exercise, a lesson or an example: "Problem 8.", "Example 3:", "Aufgabe 2".
EXERCISE_WORDS = _words(
    "q question problem exercise task ex quiz challenge assignment prompt instruction riddle puzzle"
    " worksheet test trivia"
    " frage aufgabe übung pregunta ejercicio problema tarea pergunta exercício domanda esercizio"
    " exercice problème vraag"
    " opgave oefening"
)
SERIES_WORDS = _words(
    "example sample item part case chapter lesson unit section page activity card level round day response answer input"
    " sentence passage beispiel kapitel lektion ejemplo capítulo lección exemple chapitre leçon esempio"
    " capitolo lezione"
    " exemplo story text dialogue conversation solution"
)
NEXT_WORDS = _words(
    "next new another your second third final last bonus follow-up extra more further sample practice review"
)

# ------------------------------------------------------------------------------------- tasks and questions

# Verbs that demand an answer; rare in texts of steps and advice.
TASK_VERBS = _words(
    "name list explain describe define translate summarize summarise paraphrase rewrite rephrase"
    " calculate compute convert"
    " identify classify spell solve simplify compare contrast discuss evaluate state reverse generate compose suggest"
    " mention outline prove determine conjugate unscramble categorize differentiate factor underline"
    " nenne nennen erkläre"
    " erklären übersetze übersetzen beschreibe beschreiben berechne berechnen nombra explica describe"
    " traduce calcula define"
    " escribe enumera nommez nomme expliquez explique décrivez décris traduisez traduis calculez citez cite définis"
    " nomina spiega descrivi traduci calcola elenca scrivi descreva explique traduza calcule noem beschrijf vertaal"
)
# Verbs that demand an answer with an object only ("Write a poem", "Give two examples"), otherwise steps ("Write it down").
TASK_VERBS_WITH_OBJECT = _words(
    "write give tell provide create complete construct analyze estimate predict schreibe schreib gib ergänze"
    " escriba escreva écrivez écris donnez donne dé da"
)
# Verbs of steps and advice that are tasks in a numbered exercise only: "4. Choose the right word."
STEP_VERBS = _words(
    "find choose answer fill correct design implement draw arrange sort round say select match replace"
    " decide imagine pick"
    " show express rank guess add subtract multiply divide make use put turn change read combine finde"
)
# Objects of exercises: with one of these, a verb of steps is a task too ("Use the word in a sentence.").
EXERCISE_THINGS = _words(
    "sentence sentences paragraph essay story poem word words question questions blank blanks text passage equation"
    " area perimeter volume angle sum product difference quotient derivative integral median mean"
    " probability percentage"
    " equations verb noun adjective adverb synonym antonym function program exercise mistake mistakes"
    " statement haiku limerick"
)
TASK_OBJECTS = _words(
    "a an the one two three four five six seven eight nine ten me this these each all another how what"
    " why which whether"
    " in ein eine einen drei zwei den die das un una uno dos tres el la los las deux trois le les due tre"
)
QUESTION_WORDS = _words(
    "what who whom whose where when why how which is are was were do does did can could will would should has have"
    " was wer wen wem wessen wo wann warum wie welche welcher welches welchen wieviel"
    " qué quién cuál cuándo dónde cómo cuánto cuántos cuántas que quel quelle quels quelles qui où quand"
    " comment combien"
    " pourquoi cosa chi quale quali dove quando perché quanto quanti quante qual quem onde como quantos quantas wat wie"
    " waar wanneer hoeveel"
)
# Words that refer to the text before or to the reader: a question with one of them belongs to the answer.
TYING_WORDS = _words("it its this these those they them their he him his she her you your yours we us our i me my mine")
INTERJECTIONS = _words(
    "hi hello hey sure great good well wow oh okay ok thanks please listen look interesting question idea"
)

# ------------------------------------------------------------------------------------- function words

# A sentence does not end with these, when they end a text of several words.
ENGLISH_OPEN_WORDS = _words(
    "the a an of and or but nor because to with by from for as than if whether although while unless until since",
    "into onto between among through during without within toward towards upon via despite about",
    "is are was were am be been being has have had will would shall should could may might must can",
    "my your his her its our their which whose that who whom where when very",
    "such every each not also both either neither include includes including e.g i.e",
)
# Words that sometimes end a sentence ("I know who they are", "yes, you can", "a friend of his"): the words
# before them decide.
_LAST_SOMETIMES = {
    "is": "it that this he she what who how there one",
    "are": "they you we these those who there",
    "was": "it that he she there what who",
    "were": "they we you there",
    "am": "i",
    "be": "will can could should would to may might must",
    "been": "has have had",
    "have": "i you we they to",
    "has": "he she it",
    "had": "he she it they i we",
    "will": "i he she it they we you free good",
    "would": "i he she it they we you",
    "should": "i he she it they we you",
    "could": "i he she it they we you",
    "can": "i he she it they we you trash tin",
    "might": "with great",
    "may": "in of april",
    "must": "i he she it they we you a",
    "not": "or if not why do does did is are was can could will would should",
    "that": "like than all after of do about know for with to from at by in on say said mean",
    "her": "for with to of love loves him and about see saw",
    "his": "of is was",
    "to": "want wants how me you us him them",
    "of": "kind sort",
    "where": "no every some",
    "when": "since",
    "through": "halfway",
    "within": "from",
    "without": "do",
    "since": "ever",
    "both": "them of",
    "about": "it you him her them me that talk talking think thinking told all out how what come",
    "each": "of",
    "very": "thank",
    "also": "but me you",
    "either": "not me",
    "neither": "me",
    "though": "even",
}  # fmt: skip
LAST_AFTER = {word: _words(before) for word, before in _LAST_SOMETIMES.items()}
# At the end of a question or a relative clause ("what it is made of", "the place I come from") a preposition
# is whole.
_LAST_IN_CLAUSE = {
    "of": "made think thinks thought consist consists heard afraid proud part full tired",
    "for": "is are was were looking look stand stands ask asked wait waiting used for known good",
    "from": "come comes came made are is",
    "with": "deal live begin start work talk play talking living working",
    "to": "go going talk talking listen listening belong belongs used been",
    "by": "live stand go written made",
}
LAST_IN_CLAUSE_AFTER = {word: _words(before) for word, before in _LAST_IN_CLAUSE.items()}
# Words that end no sentence, in other languages, each with the words that identify the language.
FOREIGN_OPEN_WORDS = {
    "German": (
        _words("der die das und ist nicht ein eine zu den mit von auf für im dem des sich wird sind wenn weil durch werden"),
        _words(
            "der den dem des ein eine einen einem einer eines und oder aber sondern weil dass wenn nachdem"
            " obwohl während bevor"
            " damit von für im am zum zur vom beim ins sowie sehr seine seinen ihre ihren meine meinen unsere"
            " jeder jede die"
            " zwischen gegen ohne bis etwa wegen als"
        ),
    ),
    "Spanish": (
        _words("el la los las un una de del que y en con por para se es son su al como"),
        _words(
            "el la los las un una unos unas de del al y e o u que con por para en sin sobre entre desde hasta su"
            " sus mi mis tu tus"
            " muy como porque cuando pero si es son fue está están cada hacia"
        ),
    ),
    "French": (
        _words("le la les un une des de du et que qui dans est pour par sur pas au aux en se sont il elle on"),
        _words(
            "le la les un une des de du et ou que qui dans avec pour par sur sans au aux en ce cette ces son sa"
            " ses leur leurs"
            " très mais parce est sont chaque entre vers comme si dont mon ma mes notre votre à"
        ),
    ),
    "Italian": (
        _words("il lo la gli le un una di del della e che in con per è sono si da al nel non"),
        _words(
            "il lo la gli le i un uno una di del dello della dei delle e ed o che con per in da dal dalla su sul"
            " nel nella al alla"
            " molto ma perché quando se come è sono tra fra ogni suo sua suoi loro"
        ),
    ),
    "Portuguese": (
        _words("o a os as um uma de do da dos das e que em com por para no na se não é são ao"),
        _words(
            "o os as um uma uns umas de do da dos das e ou que com por para em no na nos nas ao muito mas porque"
            " quando se como"
            " é são entre cada seu sua seus suas"
        ),
    ),
    "Dutch": (
        _words("de het een en van in op met voor is dat die niet zijn wordt door te er"),
        _words("de het een en of van op met voor aan dat die omdat als maar door te tussen naar bij uit zeer elke zijn hun"),
    ),
}  # fmt: skip
